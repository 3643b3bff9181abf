#include "beginning.h"

#include "crypto/certificate.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <stdexcept>

namespace concordat::simulation
{
namespace
{
void must(bool holds, const std::string& what)
{
  if (!holds)
    throw std::runtime_error("what all histories begin with cannot be made: " + what);
}

/// A machine with the keys of a node that may join.
Files with_keys(const std::string& service_certificate)
{
  base::SimulatedFileSystem files(0);
  put_back(files, {"keys"}, {{"keys/service.pem", service_certificate}});
  const auto platform = attestation::VirtualPlatform::open(files, "keys/sealing.key", Digest{}).value();
  attestation::SealedFiles sealed(files, platform->sealing_key());
  node::SealedState state(files, sealed, "sealed");
  must(state.save_keys(node::NodeKeys::generate(crypto::Curve::p256)).has_value(), "keys are sealed");
  return copy_of(files, Host::directories());
}

Beginning make()
{
  Beginning out;
  seed_openssl(0);
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const auto member = crypto::self_signed(key, {"CN=member", {}, 1'800'000'000 - 60, 10, false}).value();
  out.member = member.der();
  Verdict::Tally tally;
  {
    SeveralWorld world(0, tally, out.member, {{{"keys/member.pem", member.pem()}}});
    must(world.host(0).start(), "a service is created: " + world.host(0).refusal());
    kv::SnapshotTransaction state(world.host(0).node().store().committed(), kv::RunBy::node);
    const auto info = node::parse_json(state.get(node::tables::service_info, ledger::single_key).value());
    const auto certificate = node::string_member(info->get_object(), "cert");
    world.host(0).kill();
    out.one_node.push_back(copy_of(world.host(0).files(), Host::directories()));
    while (out.one_node.size() < Beginning::machines)
      out.one_node.push_back(with_keys(certificate));
  }
  SeveralWorld world(0, tally, out.member, out.one_node);
  world.operate();
  for (std::size_t number = 0; number < 3; ++number)
    must(world.host(number).start(), "nodes join: " + world.host(number).refusal());
  for (int i = 0; i < 100; ++i)
  {
    world.pass(Time(100'000));
    if (world.is_level() && world.host(1).node().sequencer().agreement().configuration.voters.size() == 3)
      break;
  }
  must(!world.wrong(), world.wrong().value_or(""));
  must(world.is_level(), "everybody is level when nothing fails");
  for (std::size_t number = 0; number < Beginning::machines; ++number)
  {
    world.host(number).kill();
    out.three_nodes.push_back(copy_of(world.host(number).files(), Host::directories()));
  }
  return out;
}
}

const Beginning& beginning()
{
  static const Beginning made = make();
  return made;
}
}
