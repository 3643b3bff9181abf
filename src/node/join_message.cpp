#include "node/join_message.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "node/configuration_rules.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <limits>
#include <utility>
#include <vector>

namespace concordat::node
{
namespace json = boost::json;

namespace
{
// All of a request goes into the ledger, and is read by everybody who asks for nodes.
constexpr std::size_t most_interfaces = 32;
constexpr std::size_t most_interface_bytes = std::size_t{32} << 10;
constexpr std::size_t most_evidence_bytes = std::size_t{128} << 10; ///< of quote and endorsements, in base64
constexpr std::size_t most_key_bytes = std::size_t{16} << 10;
constexpr std::size_t most_request_bytes = std::size_t{64} << 10;
constexpr std::size_t most_node_data_bytes = std::size_t{64} << 10;
constexpr std::size_t most_secrets = 100'000;

std::unexpected<Error> wrong(std::string_view field, std::string_view must)
{
  return fail(ErrorCode::invalid, "'" + std::string(field) + "' must be " + std::string(must));
}

/// An absent text is empty.
Result<std::string> text_of(const json::object& object, std::string_view name, std::size_t most)
{
  const auto* const found = object.if_contains(name);
  if (!found || found->is_null())
    return std::string();
  if (!found->is_string())
    return wrong(name, "a text");
  if (found->get_string().size() > most)
    return wrong(name, "shorter than " + std::to_string(most) + " bytes");
  return std::string(found->get_string());
}

Result<std::string> bytes_of(const json::object& object, std::string_view name, std::size_t most)
{
  const auto text = text_of(object, name, most);
  if (!text)
    return text;
  auto bytes = base::from_base64(*text);
  return bytes ? bytes : fail("'" + std::string(name) + "' is not base64", bytes.error());
}

const json::object* object_of(const json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found ? found->if_object() : nullptr;
}

Result<void> read_interfaces(const json::object& body, JoinRequest& out)
{
  const auto* const info = object_of(body, "node_info_network");
  if (!info)
    return wrong("node_info_network", "an object");
  // Beside the two there are copies of addresses, for older readers.
  json::value network = json::object{};
  for (const auto* const name : {"node_to_node_interface", "rpc_interfaces"})
    if (const auto* const found = info->if_contains(name))
      network.get_object()[name] = *found;
  if (json::serialize(network).size() > most_interface_bytes)
    return wrong("node_info_network", "shorter than " + std::to_string(most_interface_bytes) + " bytes");
  if (auto good = check_against(network_rule(), network, "node_info_network"); !good)
    return good;
  remove_nulls(network);
  out.node_to_node_interface = network.at("node_to_node_interface").get_object();
  out.rpc_interfaces = network.at("rpc_interfaces").get_object();
  if (out.rpc_interfaces.empty() || out.rpc_interfaces.size() > most_interfaces)
    return wrong("node_info_network.rpc_interfaces", "1 to " + std::to_string(most_interfaces) + " interfaces");
  return {};
}

Result<void> read_quote(const json::object& body, JoinRequest& out)
{
  const auto* const info = object_of(body, "quote_info");
  if (!info)
    return wrong("quote_info", "an object");
  out.format = string_member(*info, "format");
  auto quote = bytes_of(*info, "quote", most_evidence_bytes);
  if (!quote)
    return std::unexpected(quote.error());
  auto endorsements = bytes_of(*info, "endorsements", most_evidence_bytes);
  if (!endorsements)
    return std::unexpected(endorsements.error());
  out.quote = std::move(*quote);
  out.endorsements = std::move(*endorsements);
  return {};
}

Result<void> read_keys(const json::object& body, JoinRequest& out)
{
  const auto pem = text_of(body, "public_encryption_key", most_key_bytes);
  if (!pem)
    return std::unexpected(pem.error());
  const auto key = crypto::PublicKey::from_pem(*pem);
  if (!key || key->curve())
    return wrong("public_encryption_key", "the PEM of an RSA key");
  out.public_encryption_key = key->pem();
  auto request = text_of(body, "certificate_signing_request", most_request_bytes);
  if (!request)
    return std::unexpected(request.error());
  out.certificate_signing_request = std::move(*request);
  return {};
}

/// @return null unless they are what `LedgerSecrets::from_raw` takes, in base64
std::shared_ptr<ledger::LedgerSecrets> read_secrets(const json::object& network)
{
  const auto* const list = network.if_contains("ledger_secrets");
  if (!list || !list->is_array() || list->get_array().size() > most_secrets)
    return nullptr;
  std::vector<std::pair<Seqno, std::string>> raw;
  for (const auto& item : list->get_array())
  {
    const auto* const pair = item.if_array();
    const auto* const object = pair && pair->size() == 2 ? pair->at(1).if_object() : nullptr;
    const bool is_number = object && pair->at(0).is_int64() && pair->at(0).get_int64() >= 0;
    auto text = object ? string_member(*object, "raw_key") : std::string();
    auto bytes = base::from_base64(text);
    crypto::wipe(text);
    raw.emplace_back(
        is_number ? static_cast<Seqno>(pair->at(0).get_int64()) : 0, bytes ? std::move(*bytes) : std::string());
  }
  return ledger::LedgerSecrets::from_raw(std::move(raw));
}

Result<NetworkInfo>
read_network(const json::object& network, const crypto::Certificate& service, const crypto::PublicKey& node_key)
{
  const auto refuse = [](std::string_view why)
  { return fail(ErrorCode::invalid, "what the service answered cannot be used: " + std::string(why)); };
  auto secrets = read_secrets(network);
  if (!secrets)
    return refuse("it holds no ledger secrets");
  const auto* const identity = object_of(network, "identity");
  auto pem = identity ? string_member(*identity, "priv_key") : std::string();
  const auto key = crypto::KeyPair::from_pem(pem);
  crypto::wipe(pem);
  const auto certificate = crypto::Certificate::from_pem(identity ? string_member(*identity, "cert") : "");
  if (!key || !certificate)
    return refuse("it holds no service identity");
  if (certificate->public_key().id() != key->public_key().id())
    return refuse("the key of the service is not that of its certificate");
  // The certificate may have been renewed since; its key never changes.
  if (key->public_key().id() != service.public_key().id())
    return refuse("the identity is that of another service");
  const auto endorsed = crypto::Certificate::from_pem(string_member(network, "endorsed_certificate"));
  if (!endorsed || endorsed->public_key().id() != node_key.id() || !endorsed->signed_by(key->public_key()))
    return refuse("it holds no certificate that the service issued for this node");
  const auto* const names = object_of(network, "cose_signatures_config");
  NetworkInfo info{
      std::move(secrets),
      *key,
      certificate->pem(),
      string_member(network, "service_status"),
      endorsed->pem(),
      names ? string_member(*names, "issuer") : "",
      names ? string_member(*names, "subject") : ""};
  if (std::max(info.cose_issuer.size(), info.cose_subject.size()) > crypto::root_claim_limit)
    return refuse("a text for signatures is too long");
  const auto* const public_only = network.if_contains("public_only");
  if (public_only && public_only->is_bool() && public_only->get_bool())
    return refuse("the service is being recovered, and holds no private state yet");
  return info;
}
}

std::string write_join_request(const JoinRequest& request)
{
  json::object body{
      {"node_data", request.node_data},
      {"node_info_network",
       {{"node_to_node_interface", request.node_to_node_interface}, {"rpc_interfaces", request.rpc_interfaces}}},
      {"public_encryption_key", request.public_encryption_key},
      {"quote_info",
       {{"endorsements", base::to_base64(request.endorsements)},
        {"format", request.format},
        {"quote", base::to_base64(request.quote)}}},
      {"startup_seqno", request.startup_seqno}};
  if (!request.certificate_signing_request.empty())
    body["certificate_signing_request"] = request.certificate_signing_request;
  return to_canonical_json(body);
}

Result<JoinRequest> read_join_request(std::string_view body)
{
  const auto parsed = parse_json(body);
  if (!parsed)
    return std::unexpected(parsed.error());
  const auto* const object = parsed->if_object();
  if (!object)
    return wrong("body", "an object");
  JoinRequest request;
  if (auto read = read_interfaces(*object, request); !read)
    return std::unexpected(read.error());
  if (auto read = read_quote(*object, request); !read)
    return std::unexpected(read.error());
  if (auto read = read_keys(*object, request); !read)
    return std::unexpected(read.error());
  if (const auto* const seqno = object->if_contains("startup_seqno"); seqno && !seqno->is_null())
  {
    if (!seqno->is_int64() || seqno->get_int64() < 0)
      return wrong("startup_seqno", "a whole number from 0 on");
    request.startup_seqno = static_cast<Seqno>(seqno->get_int64());
  }
  if (const auto* const data = object->if_contains("node_data"))
    request.node_data = *data;
  if (json::serialize(request.node_data).size() > most_node_data_bytes)
    return wrong("node_data", "shorter than " + std::to_string(most_node_data_bytes) + " bytes");
  return request;
}

json::object write_join_answer(std::string_view node_status, std::string_view node_id, const NetworkInfoView* network)
{
  json::object body{{"node_id", node_id}, {"node_status", node_status}};
  if (!network)
    return body;
  json::array secrets;
  for (const auto& [first, secret] : network->ledger_secrets.periods())
    secrets.push_back(json::array{first, json::object{{"raw_key", base::to_base64(secret->raw())}}});
  body["network_info"] = json::object{
      {"cose_signatures_config", {{"issuer", network->cose_issuer}, {"subject", network->cose_subject}}},
      {"endorsed_certificate", network->endorsed_certificate},
      {"identity", {{"cert", network->service_certificate}, {"priv_key", network->service_key.private_pem()}}},
      {"last_recovered_signed_idx", 0},
      {"ledger_secrets", std::move(secrets)},
      {"public_only", false},
      {"service_status", network->service_status}};
  return body;
}

Result<JoinAnswer>
read_join_answer(std::string_view body, const crypto::Certificate& service, const crypto::PublicKey& node_key)
{
  const auto parsed = parse_json(body);
  const auto* const object = parsed ? parsed->if_object() : nullptr;
  if (!object) // what the parser says could name a part of a secret
    return fail(ErrorCode::invalid, "what the service answered cannot be used: it is not JSON");
  JoinAnswer answer{string_member(*object, "node_status"), string_member(*object, "node_id"), std::nullopt};
  if (answer.node_status != "Pending" && answer.node_status != "Trusted")
    return fail(
        ErrorCode::invalid, "what the service answered cannot be used: it says neither that this node is pending nor "
                            "that it is trusted");
  if (answer.node_status == "Pending")
    return answer;
  const auto* const network = object_of(*object, "network_info");
  if (!network)
    return fail(
        ErrorCode::invalid, "the service trusts this node, and answered without what a node needs to take part");
  auto info = read_network(*network, service, node_key);
  if (!info)
    return std::unexpected(info.error());
  answer.network = std::move(*info);
  return answer;
}
}
