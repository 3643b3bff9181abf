#include "node/trust.h"

#include "crypto/certificate.h"
#include "crypto/signing_request.h"
#include "ledger/entry.h"
#include "net/address.h"
#include "node/certificates.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <algorithm>
#include <vector>

namespace concordat::node
{
namespace json = boost::json;

namespace
{
constexpr std::uint64_t default_maximum_days = 365;

void put_record(Transaction& transaction, std::string_view node_id, const json::object& record)
{
  transaction.put(tables::node_info, node_id, to_canonical_json(record));
}

/// Hosts of the addresses that the node publishes, for one that asked for no names.
std::vector<std::string> published_names(const json::object& record)
{
  std::vector<std::string> names;
  const auto* const interfaces = record.if_contains("rpc_interfaces");
  if (!interfaces || !interfaces->is_object())
    return names;
  for (const auto& [name, interface] : interfaces->get_object())
  {
    const auto* const object = interface.if_object();
    const auto address = net::split_address(object ? string_member(*object, "published_address") : "");
    if (!address || is_wildcard(address->host))
      continue;
    auto text = alternative_name(address->host);
    if (std::find(names.begin(), names.end(), text) == names.end())
      names.push_back(std::move(text));
  }
  return names;
}

/// What the node asked to have certified: its request if it made one, else its key and addresses.
Result<crypto::SigningRequest> asked_for(const json::object& record, std::string_view node_id)
{
  const auto pem = string_member(record, "certificate_signing_request");
  auto request = crypto::SigningRequest{};
  if (!pem.empty())
  {
    auto read = crypto::SigningRequest::from_pem(pem);
    if (!read)
      return read;
    request = std::move(*read);
  }
  else
  {
    auto key = crypto::PublicKey::from_pem(string_member(record, "public_key"));
    if (!key)
      return fail("the node's record holds no key that could be certified", key.error());
    request = {std::move(*key), "CN=CCF Node", published_names(record)};
  }
  if (request.key.id() != node_id)
    return fail(ErrorCode::invalid, "the key that is to be certified is not the node's");
  return request;
}

Result<std::uint64_t> days_of(ReadTransaction& state, const Validity& validity)
{
  const auto longest = longest_validity(state);
  const auto days = validity.days.value_or(longest);
  if (days == 0 || days > longest)
    return fail(
        ErrorCode::invalid,
        "a node's certificate is valid for 1 to " + std::to_string(longest) + " days, not for " + std::to_string(days));
  return days;
}

Result<crypto::Certificate> certify(
    ReadTransaction& state, const json::object& record, std::string_view node_id, const Certifier& certifier,
    const Validity& validity)
{
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  const auto issuer = crypto::Certificate::from_pem(service ? string_member(*service, "cert") : "");
  if (!issuer)
    return fail("there is no service that could certify a node", issuer.error());
  if (auto right = check_issuer(*issuer, certifier.unix_seconds); !right)
    return std::unexpected(right.error());
  const auto asked = asked_for(record, node_id);
  if (!asked)
    return std::unexpected(asked.error());
  const auto days = days_of(state, validity);
  if (!days)
    return std::unexpected(days.error());
  crypto::CertificateRequest request;
  request.subject = asked->subject;
  request.subject_alt_names = asked->subject_alt_names;
  request.valid_from = validity.valid_from.value_or(certifier.unix_seconds - begins_before);
  request.validity_days = static_cast<unsigned>(*days);
  return crypto::issue(asked->key, request, certifier.service_key, *issuer);
}

std::string status_of(const json::object& record)
{
  return string_member(record, "status");
}

/// The beginning of a name that may be anything.
std::string printable_name(std::string_view name)
{
  constexpr std::size_t longest = 40;
  std::string out(name.substr(0, longest));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

bool is_interface(const json::value& value)
{
  const auto* const interface = value.if_object();
  return interface && net::split_address(string_member(*interface, "published_address"));
}

bool are_interfaces(std::string_view name, const json::value& value)
{
  if (name == "node_to_node_interface")
    return is_interface(value);
  const auto* const interfaces = value.if_object();
  return interfaces && !interfaces->empty() &&
         std::ranges::all_of(*interfaces, [](const auto& one) { return is_interface(one.value()); });
}

bool is_another_trusted(ReadTransaction& state, std::string_view node_id)
{
  const auto nodes = state.scan(tables::node_info);
  while (nodes->next())
    if (nodes->key() != node_id)
      if (const auto record = node_record_of(state, nodes->key()); record && status_of(*record) == "Trusted")
        return true;
  return false;
}

void forget(Transaction& transaction, std::string_view node_id)
{
  transaction.remove(tables::node_info, node_id);
  if (transaction.has(tables::node_certificates, node_id))
    transaction.remove(tables::node_certificates, node_id);
}
}

bool takes_part(const boost::json::object& record)
{
  const auto status = string_member(record, "status");
  const auto* const noted = record.if_contains("retired_committed");
  return status == "Trusted" || (status == "Retired" && !(noted && noted->is_bool() && noted->get_bool()));
}

std::optional<json::object> node_record_of(ReadTransaction& state, std::string_view node_id)
{
  return read_object(state, tables::node_info, node_id);
}

std::uint64_t longest_validity(ReadTransaction& state)
{
  const auto config = read_object(state, tables::service_config, ledger::single_key);
  const auto* const configured = config ? config->if_contains("maximum_node_certificate_validity_days") : nullptr;
  return configured && configured->is_int64() && configured->get_int64() > 0
           ? static_cast<std::uint64_t>(configured->get_int64())
           : default_maximum_days;
}

Result<bool>
trust_node(Transaction& transaction, std::string_view node_id, const Certifier& certifier, const Validity& validity)
{
  auto record = node_record_of(transaction, node_id);
  if (!record)
    return fail(ErrorCode::not_found, "there is no such node");
  if (status_of(*record) != "Pending")
    return false;
  const auto certificate = certify(transaction, *record, node_id, certifier, validity);
  if (!certificate)
    return fail("the node cannot be given a certificate", certificate.error());
  (void)give_engine_id(transaction, node_id);
  (*record)["status"] = "Trusted";
  (*record)["ledger_secret_seqno"] = certifier.ledger_secrets.periods().back().first;
  put_record(transaction, node_id, *record);
  transaction.put(tables::node_certificates, node_id, certificate->pem());
  return true;
}

Result<bool> update_node(
    Transaction& transaction, std::string_view node_id, Says may_say, std::string_view changes,
    std::string_view certificate_signing_request, const Certifier& certifier, const Validity& validity)
{
  auto record = node_record_of(transaction, node_id);
  if (!record)
    return fail(ErrorCode::not_found, "there is no such node");
  if (status_of(*record) != "Trusted")
    return fail(ErrorCode::denied, "the node is not trusted");
  const auto parsed = parse_json(changes);
  const auto* const wanted = parsed ? parsed->if_object() : nullptr;
  if (!wanted)
    return fail(ErrorCode::invalid, "what the node wants its record to say is no JSON object");
  const auto before = to_canonical_json(*record);
  for (const auto& [name, value] : *wanted)
  {
    const bool is_address = name == "rpc_interfaces" || name == "node_to_node_interface";
    const bool is_code = name == "code_digest" || name == "quote_info";
    if (!is_address && (may_say != Says::all || !is_code))
      return fail(ErrorCode::invalid, "a node does not say this of itself: '" + printable_name(name) + "'");
    if (is_address && !are_interfaces(name, value))
      return fail(ErrorCode::invalid, "'" + printable_name(name) + "' names no addresses");
    (*record)[name] = value;
  }
  if (to_canonical_json(*record) == before)
    return false;
  (*record)["certificate_signing_request"] = certificate_signing_request;
  const auto certificate = certify(transaction, *record, node_id, certifier, validity);
  if (!certificate)
    return fail("the node cannot be given a certificate", certificate.error());
  put_record(transaction, node_id, *record);
  transaction.put(tables::node_certificates, node_id, certificate->pem());
  return true;
}

Result<bool> retire_node(Transaction& transaction, std::string_view node_id)
{
  auto record = node_record_of(transaction, node_id);
  if (!record || status_of(*record) == "Retired")
    return false;
  if (status_of(*record) == "Pending")
  {
    forget(transaction, node_id);
    return true;
  }
  if (!is_another_trusted(transaction, node_id))
    return fail(ErrorCode::denied, "it is the last trusted node: without it there would be no service");
  (*record)["status"] = "Retired";
  put_record(transaction, node_id, *record);
  return true;
}

bool note_retired_committed(Transaction& transaction, ReadTransaction& committed)
{
  bool noted = false;
  // It may be about to be given a vote, as was right before it retired.
  const auto agrees = configuration_in(committed);
  const auto will_agree = configuration_in(transaction);
  const auto counts = [&](consensus::EngineId id)
  { return agrees.role(id) == consensus::Role::voter || will_agree.role(id) == consensus::Role::voter; };
  const auto nodes = committed.scan(tables::node_info);
  while (nodes->next())
  {
    const auto agreed = node_record_of(committed, nodes->key());
    auto record = node_record_of(transaction, nodes->key());
    if (!agreed || status_of(*agreed) != "Retired" || !record || status_of(*record) != "Retired")
      continue;
    const auto* const known = record->if_contains("retired_committed");
    if (known && known->is_bool() && known->get_bool())
      continue;
    // Who is told so may shut it down: as long as it counts for a majority, the others could be left without one.
    const auto ids = engine_ids_of(committed, nodes->key());
    if (std::ranges::any_of(ids, counts))
      continue;
    (*record)["retired_committed"] = true;
    put_record(transaction, nodes->key(), *record);
    noted = true;
  }
  return noted;
}

Result<void> delete_node(Transaction& transaction, ReadTransaction& committed, std::string_view node_id)
{
  if (!node_record_of(transaction, node_id))
    return fail(ErrorCode::not_found, "there is no such node");
  const auto agreed = node_record_of(committed, node_id);
  const auto* const noted = agreed ? agreed->if_contains("retired_committed") : nullptr;
  if (!noted || !noted->is_bool() || !noted->get_bool() || status_of(*agreed) != "Retired")
    return fail(
        ErrorCode::denied, "the node is not retired, or it is not yet agreed on by all that it takes no part any more");
  forget(transaction, node_id);
  return {};
}
}
