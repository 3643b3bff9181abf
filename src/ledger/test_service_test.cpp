#include "ledger/test_service.h"

#include "base/encoding.h"
#include "crypto/cbor.h"
#include "crypto/cose.h"
#include "crypto/cose_sign1.h"
#include "ledger/chunk_format.h"

#include <boost/json.hpp>

namespace concordat::ledger
{
namespace
{
constexpr std::int64_t valid_from = 1700000000;
const std::string only_key(single_key);
}

crypto::Certificate test_ca(const crypto::KeyPair& key, const std::string& subject)
{
  return crypto::self_signed(key, {subject, {}, valid_from, 3650, true}).value();
}

crypto::Certificate test_issue(
    const crypto::KeyPair& key, const std::string& subject, const crypto::KeyPair& issuer_key,
    const crypto::Certificate& issuer, bool is_ca)
{
  return crypto::issue(key.public_key(), {subject, {"dNSName:localhost"}, valid_from, 3650, is_ca}, issuer_key, issuer)
      .value();
}

TestService::TestService()
    : service_key(crypto::KeyPair::generate(crypto::Curve::p256)),
      service_cert(test_ca(service_key, "CN=service")),
      node_key(crypto::KeyPair::generate(crypto::Curve::p256)),
      node_cert(test_issue(node_key, "CN=node", service_key, service_cert)),
      secret(LedgerSecret::generate())
{
}

void TestService::create()
{
  const auto node = node_key.public_key().id();
  kv::WriteSet writes;
  writes["public:ccf.gov.nodes.info"][node] = R"({"status":"Trusted"})";
  writes["public:ccf.gov.nodes.endorsed_certificates"][node] = node_cert.pem();
  writes.merge(service_info("Opening"));
  write(writes);
}

kv::WriteSet TestService::service_info(const std::string& status) const
{
  kv::WriteSet writes;
  writes["public:ccf.gov.service.info"][only_key] =
      boost::json::serialize(boost::json::object{{"cert", service_cert.pem()}, {"status", status}});
  return writes;
}

void TestService::recover()
{
  const auto old_node = node_key.public_key().id();
  kv::WriteSet writes;
  writes["public:ccf.gov.service.previous_service_identity"][only_key] =
      boost::json::serialize(boost::json::string(service_cert.pem()));
  // The root that the last signature transaction signed, over the entries before it.
  auto signed_tree = tree;
  signed_tree.truncate(tree.size() - 1);
  writes["public:ccf.internal.previous_service_last_signed_root"][only_key] =
      '"' + base::to_hex(base::as_view(signed_tree.root())) + '"';

  service_key = crypto::KeyPair::generate(crypto::Curve::p256);
  service_cert = test_ca(service_key, "CN=recovered service");
  node_key = crypto::KeyPair::generate(crypto::Curve::p256);
  node_cert = test_issue(node_key, "CN=node", service_key, service_cert);
  view += 2;
  writes["public:ccf.gov.nodes.info"][old_node] = R"({"status":"Retired"})";
  writes["public:ccf.gov.nodes.info"][node_key.public_key().id()] = R"({"status":"Trusted"})";
  writes["public:ccf.gov.nodes.endorsed_certificates"][node_key.public_key().id()] = node_cert.pem();
  writes.merge(service_info("Recovering"));
  write(writes);
}

void TestService::open()
{
  if (endorsing_keys.empty() && view == 2)
  {
    auto writes = service_info("Open");
    writes["public:ccf.internal.previous_service_identity_endorsement"][only_key] =
        test_endorsement(service_key, service_key.public_key().der());
    write(writes);
  }
  else
  {
    write(service_info("WaitingForRecoveryShares"));
    auto writes = service_info("Open");
    writes["public:ccf.internal.previous_service_identity_endorsement"][only_key] =
        test_endorsement(service_key, endorsing_keys.empty() ? service_key.public_key().der() : endorsing_keys.back());
    write(writes);
  }
  endorsing_keys.push_back(service_key.public_key().der());
}

const EncodedEntry& TestService::write(const kv::WriteSet& writes, std::uint8_t flags, const Digest& claims)
{
  std::string in_clear;
  std::string encrypted;
  kv::encode(writes, kv::Domain::public_maps, in_clear);
  kv::encode(writes, kv::Domain::private_maps, encrypted);
  entries.push_back(encode_entry(secret, next(), flags, claims, in_clear, encrypted));
  tree.append(entries.back().leaf);
  return entries.back();
}

const EncodedEntry& TestService::write_something()
{
  const auto number = std::to_string(tree.size());
  kv::WriteSet writes;
  writes["public:app.log"]["key " + number] = "value " + number;
  writes["app.secrets"]["key " + number] = std::string(100, 's');
  return write(writes);
}

const EncodedEntry& TestService::sign(std::uint8_t flags)
{
  return write(signature(), flags);
}

kv::WriteSet TestService::signature() const
{
  const auto root = tree.root();
  const boost::json::object record{
      {"cert", node_cert.pem()},
      {"commit_seqno", 0},
      {"commit_view", 0},
      {"hashed_nonce", std::string(64, '0')},
      {"node", node_key.public_key().id()},
      {"root", base::to_hex(base::as_view(root))},
      {"seqno", next().seqno},
      {"sig", base::to_base64(node_key.sign_digest(root))},
      {"view", next().view}};
  kv::WriteSet writes;
  writes[std::string(signatures_table)][only_key] = boost::json::serialize(record);
  writes[std::string(cose_signatures_table)][only_key] =
      '"' + base::to_base64(crypto::cose_sign_root(service_key, root, {valid_from, "issuer", "subject", next()})) + '"';
  writes[std::string(tree_table)][only_key] = tree.serialise();
  return writes;
}

std::string test_endorsement(const crypto::KeyPair& by, const std::string& endorsed_key_der)
{
  crypto::CborWriter header;
  header.map(3).integer(1).integer(crypto::cose_algorithm(by.public_key().curve().value()));
  header.integer(15).map(1).integer(6).integer(valid_from);
  header.text("ccf.v1").map(1).text("epoch.start.txid").text("2.1");
  return boost::json::serialize(boost::json::object{
      {"endorsement", base::to_base64(crypto::make_cose_sign1(by, header.encoded(), endorsed_key_der, true))},
      {"endorsement_epoch_begin", "2.1"},
      {"endorsing_key", base::to_base64(by.public_key().der())}});
}

void set_in_signature(kv::WriteSet& writes, const std::string& field, const std::optional<std::string>& value)
{
  auto& text = writes[std::string(signatures_table)][only_key];
  auto record = boost::json::parse(text.value()).as_object();
  if (value)
    record[field] = *value;
  else
    record.erase(field);
  text = boost::json::serialize(record);
}

std::string TestService::chunk(Seqno first, Seqno last, bool complete) const
{
  std::string bytes(chunk_header_size, '\0');
  std::vector<std::uint32_t> positions;
  for (auto seqno = first; seqno <= last; ++seqno)
  {
    positions.push_back(static_cast<std::uint32_t>(bytes.size()));
    bytes += entry(seqno);
  }
  if (complete)
    bytes.replace(0, chunk_header_size, chunk_header(bytes.size())) += positions_table(positions);
  return bytes;
}
}
