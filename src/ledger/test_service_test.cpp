#include "ledger/test_service.h"

#include "base/encoding.h"
#include "crypto/cose.h"
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
  writes["public:ccf.gov.service.info"][only_key] =
      boost::json::serialize(boost::json::object{{"cert", service_cert.pem()}, {"status", "Opening"}});
  write(writes);
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
  return write(writes, flags);
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
