#include "world.h"

#include "ledger/entry.h"
#include "ledger/verifier.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <stdexcept>
#include <utility>

namespace concordat::simulation
{
namespace
{
const base::Path sealing_key_file = "keys/sealing.key";
const base::Path member_file = "keys/member.pem";
const std::vector<base::Path> all_directories = {"keys", ledger_directory, sealed_directory};
constexpr unsigned deepest = 3;

node::Configuration basic_configuration()
{
  namespace json = boost::json;
  const json::object text{
      {"network",
       {{"node_to_node_interface", {{"bind_address", "127.0.0.1:8000"}}},
        {"rpc_interfaces", {{"main", {{"bind_address", "127.0.0.1:8001"}}}}}}},
      {"command",
       {{"type", "Start"},
        {"service_certificate_file", "service_cert.pem"},
        {"start", {{"members", {{{"certificate_file", member_file}}}}}}}},
      {"ledger", {{"directory", ledger_directory}, {"chunk_size", "6KB"}}},
      {"concordat", {{"open_service", true}, {"sealed_directory", sealed_directory}}}};
  return node::parse_configuration(json::serialize(text)).value();
}

/// A machine on which nothing has happened yet, and the same after a service was created on it: that takes long, as
/// an RSA key is made, so that few histories begin with it.
struct Beginning
{
  std::string member; ///< DER
  Files empty;
  Files founded;
  std::vector<TxId> placed;
};

const Beginning& beginning()
{
  static const Beginning made = []
  {
    Beginning out;
    base::SimulatedFileSystem files(0);
    SimulatedClock clock;
    seed_openssl(0);
    const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
    const auto member = crypto::self_signed(key, {"CN=member", {}, clock.unix_seconds() - 60, 10, false}).value();
    out.member = member.der();
    put_back(files, {"keys"}, {{member_file, member.pem()}});
    const auto platform = attestation::VirtualPlatform::open(files, sealing_key_file, Digest{}).value();
    out.empty = copy_of(files, all_directories);

    const std::deque<Plan> plans;
    struct NoPool : base::Executor
    {
      Result<void> submit(base::Job) override
      {
        return fail(ErrorCode::unavailable, "there is no pool");
      }
    } pool;
    const auto node = node::Node::start_driven(
        basic_configuration(), std::make_unique<PlannedApplication>(plans, PlannedApplication::Events{}), files, clock,
        *platform, {.pool = pool, .placed = [&](TxId txid) { out.placed.push_back(txid); }});
    out.founded = copy_of(files, all_directories);
    return out;
  }();
  return made;
}
}

World::World(std::uint64_t seed, Verdict::Tally& tally)
    : random_(seed),
      from_nothing_(seed % 64 == 0),
      files_(seed),
      verdict_(tally),
      nonces_(
          [this]() -> std::shared_ptr<const ledger::LedgerSecrets>
          {
            attestation::SealedFiles sealed(files_, platform_->sealing_key());
            const auto identity = node::SealedState(files_, sealed, sealed_directory).load_identity();
            return identity ? identity->ledger_secrets : nullptr;
          }),
      watched_(files_, ledger_directory, nonces_),
      insider_(random_, model_, verdict_, [this] { at_once(); }),
      clients_(
          random_, plans_, model_, verdict_, beginning().member, [this] { insider_.look_around(); },
          [this] { at_once(); }),
      configuration_(basic_configuration()),
      check_invariants_(random_.one_in(2))
{
  seed_openssl(seed);
  auto& limits = configuration_.transactions;
  if (random_.one_in(2))
    limits.max_batch_count = 1 + random_.below(4);
  if (random_.one_in(2))
    limits.max_batch_size = 500 + random_.below(3000);
  if (random_.one_in(4))
    limits.max_waiting_size = 4000 + random_.below(4000);
  if (random_.one_in(4))
    configuration_.max_uncommitted = 2 + random_.below(6);
  configuration_.chunk_size = 4000 + random_.below(8000);
  files_.set_hook([this](std::string_view, const base::Path&) { during_disk_operation(); });
}

World::~World()
{
  end_process();
}

std::uint64_t World::fingerprint()
{
  return files_.operations() * 1'000'003 + random_.below(1'000'003);
}

void World::install()
{
  const auto& files = from_nothing_ ? beginning().empty : beginning().founded;
  put_back(watched_, all_directories, files);
  platform_ = attestation::VirtualPlatform::open(files_, sealing_key_file, Digest{}).value();
  if (from_nothing_)
    return;
  for (const auto txid : beginning().placed)
    verdict_.wrong_if(model_.place(txid, std::nullopt));
  model_.acknowledge_all(beginning().placed.back().seqno);
  founded_ = true;
}

std::optional<std::string> World::run()
{
  install();
  restart(true);
  const auto actions = 40 + random_.below(80);
  for (std::uint64_t i = 0; i < actions && !verdict_.first(); ++i)
    act();
  if (!verdict_.first())
    restart(true);
  if (!verdict_.first())
    check_ledger();
  return verdict_.first();
}

void World::act()
{
  const auto dice = random_.below(100);
  if (dice < 45)
    clients_.act();
  else if (dice < 55)
    clients_.run_job();
  else if (dice < 73)
    step();
  else if (dice < 76)
    try_to_repair();
  else if (dice < 79)
    insider_.wait_for_some();
  else if (dice < 82)
    insider_.read_feed();
  else if (dice < 86)
    files_.set_crash_after(random_.below(25));
  else if (dice < 88)
    restart(true);
  else if (dice < 91)
    inject_disk_fault();
  else if (dice < 95)
    clock_.advance(std::chrono::milliseconds(600));
  else if (dice < 97)
    stop();
  else if (dice < 99)
  {
    copies_.push_back(copy());
    if (copies_.size() > 3)
      copies_.pop_front();
  }
  else
    put_disk_back();
  verdict_.wrong_if(nonces_.wrong());
  if (!verdict_.first() && files_.crashed())
    restart(true);
}

void World::step()
{
  const bool could_write = node_->sequencer().can_write();
  ++order_is_busy_;
  node_->sequencer().step();
  --order_is_busy_;
  if (could_write != node_->sequencer().can_write())
    verdict_.count(could_write ? "disk breaks" : "disk is repaired");
  insider_.check_served();
  check_answered();
}

/// Nobody waits for what cannot come, and nothing counts as waiting that does not.
void World::check_answered()
{
  insider_.check_told();
  const auto& order = node_->sequencer();
  if ((!order.can_write() || order.waiting() == 0) && clients_.somebody_waits_for_the_order())
    verdict_.wrong("a request that was handed to the order is never answered");
  const bool nothing_open = !order.can_write() || node_->store().head_seqno() == order.committed().seqno;
  if (nothing_open && order.waiting() != 0)
    verdict_.wrong("transactions count as waiting, and there are none");
}

void World::inject_disk_fault()
{
  const auto kind = random_.one_in(2) ? base::DiskFault::no_space : base::DiskFault::sync_error;
  files_.fail_next(kind, random_.below(6));
  disk_may_fail_ = true;
}

void World::try_to_repair()
{
  if (!node_->sequencer().can_write())
    clock_.advance(std::chrono::milliseconds(1100));
  step();
}

void World::break_and_repair()
{
  files_.fail_next(random_.one_in(2) ? base::DiskFault::no_space : base::DiskFault::sync_error, 0);
  disk_may_fail_ = true;
  step();
  for (auto attempts = random_.below(3); attempts > 0 && !files_.crashed(); --attempts)
  {
    try_to_repair();
    clients_.act();
  }
}

/// A handler pauses, and everybody else goes on.
void World::meanwhile()
{
  if (depth_ >= deepest || files_.crashed())
    return;
  ++depth_;
  const auto dice = random_.below(10);
  if (dice < 4)
    clients_.act();
  else if (dice < 5)
    clients_.run_job();
  else if (dice < 6)
    clients_.lose_patience();
  else if (dice < 7)
    insider_.wait_for_some();
  else if (order_is_busy_ == 0)
    dice < 8 ? try_to_repair() : break_and_repair();
  --depth_;
}

/// The thread of the order waits for the disk, and everybody else goes on.
void World::during_disk_operation()
{
  if (!serving_ || depth_ >= deepest || !random_.one_in(6))
    return;
  verdict_.count("somebody acts during a disk operation");
  act_within();
}

/// Somebody is told something, on whatever thread.
void World::at_once()
{
  if (!serving_ || depth_ >= deepest || files_.crashed() || !random_.one_in(6))
    return;
  verdict_.count("somebody acts within an answer");
  act_within();
}

/// In the middle of what the order does, so that no step may be taken.
void World::act_within()
{
  ++depth_;
  ++order_is_busy_;
  const auto dice = random_.below(8);
  if (dice < 5)
    clients_.act();
  else if (dice < 6)
    clients_.run_job();
  else if (dice < 7)
    insider_.wait_for_some();
  else
    insider_.read_feed();
  --order_is_busy_;
  --depth_;
}

/// Between a transaction's place and its encoding.
void World::placed(TxId txid)
{
  if (!first_placed_)
    first_placed_ = txid;
  if (txid.seqno == 1) // a service that is begun again has the ids of one that never came to be
    model_.forget_told();
  if (serving_)
    insider_.look_around();
  verdict_.wrong_if(model_.place(txid, clients_.placed(txid)));
  if (!serving_ || files_.crashed())
    return;
  // Its batch cannot be closed until this returns.
  if (depth_ < deepest && random_.one_in(8))
    act_within();
  if (random_.one_in(150))
  {
    encoding_failed_ = true;
    verdict_.count("entry that cannot be encoded");
    throw std::runtime_error("no memory");
  }
}
}
