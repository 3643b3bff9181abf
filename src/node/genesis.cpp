#include "node/genesis.h"

#include "base/encoding.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

constexpr std::uint64_t max_input_file = 4 << 20;
constexpr std::uint64_t default_recent_proposals = 100;

Result<crypto::Certificate> read_certificate(base::FileSystem& files, const base::Path& path)
{
  const auto pem = files.read(path, max_input_file);
  if (!pem)
    return std::unexpected(pem.error());
  auto certificate = crypto::Certificate::from_pem(*pem);
  if (!certificate)
    return fail("'" + path + "' is not a PEM certificate", certificate.error());
  return certificate;
}

Result<json::value> read_json(base::FileSystem& files, const std::optional<base::Path>& path)
{
  if (!path)
    return json::value();
  const auto text = files.read(*path, max_input_file);
  if (!text)
    return std::unexpected(text.error());
  auto value = parse_json(*text);
  if (!value)
    return fail("'" + *path + "' is wrong", value.error());
  return value;
}

std::string_view role_name(RecoveryRole role)
{
  switch (role)
  {
  case RecoveryRole::non_participant:
    return "NonParticipant";
  case RecoveryRole::owner:
    return "Owner";
  default:
    return "Participant";
  }
}

std::string host_of(const std::string& address)
{
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return host;
}

bool is_ip_address(const std::string& host)
{
  return host.find(':') != std::string::npos ||
         (!host.empty() && host.find_first_not_of("0123456789.") == std::string::npos);
}

std::string published_address(const RpcInterface& interface, const std::map<std::string, std::string>& addresses)
{
  const auto bound = addresses.find(interface.listen.name);
  const auto& configured =
      interface.published_address.empty() ? interface.listen.bind_address : interface.published_address;
  const bool any_port = configured.ends_with(":0");
  return any_port && bound != addresses.end() ? bound->second : configured;
}
}

Result<Founders> read_founders(base::FileSystem& files, const Configuration& configuration)
{
  Founders founders;
  for (const auto& configured : configuration.members)
  {
    auto certificate = read_certificate(files, configured.certificate_file);
    if (!certificate)
      return fail("cannot use a member's certificate", certificate.error());
    Founders::Member member{*certificate, certificate->pem(), "", nullptr, configured.recovery_role};
    if (configured.encryption_public_key_file)
    {
      const auto pem = files.read(*configured.encryption_public_key_file, max_input_file);
      if (!pem)
        return fail("cannot use a member's encryption key", pem.error());
      const auto key = crypto::PublicKey::from_pem(*pem);
      if (!key)
        return fail("'" + *configured.encryption_public_key_file + "' is not a PEM public key", key.error());
      member.encryption_key_pem = key->pem();
    }
    const bool has_key = !member.encryption_key_pem.empty();
    if (!has_key && (member.role == RecoveryRole::participant || member.role == RecoveryRole::owner))
      return fail(
          ErrorCode::invalid,
          "the member of '" + configured.certificate_file + "' is to take part in recovery but has no encryption key");
    if (has_key && member.role == RecoveryRole::non_participant)
      return fail(
          ErrorCode::invalid, "the member of '" + configured.certificate_file +
                                  "' has an encryption key but is not to take part in recovery");
    auto data = read_json(files, configured.data_file);
    if (!data)
      return fail("cannot use a member's data", data.error());
    member.data = std::move(*data);
    founders.members.push_back(std::move(member));
  }
  for (const auto& configured : configuration.users)
  {
    auto certificate = read_certificate(files, configured.certificate_file);
    if (!certificate)
      return fail("cannot use a user's certificate", certificate.error());
    auto data = read_json(files, configured.data_file);
    if (!data)
      return fail("cannot use a user's data", data.error());
    auto pem = certificate->pem();
    founders.users.push_back({std::move(*certificate), std::move(pem), std::move(*data)});
  }
  for (const auto& path : configuration.constitution_files)
  {
    const auto text = files.read(path, max_input_file);
    if (!text)
      return fail("cannot use a constitution file", text.error());
    founders.constitution += *text;
  }
  auto node_data = read_json(files, configuration.node_data_file);
  if (!node_data)
    return std::unexpected(node_data.error());
  founders.node_data = std::move(*node_data);
  auto service_data = read_json(files, configuration.service_data_file);
  if (!service_data)
    return std::unexpected(service_data.error());
  founders.service_data = std::move(*service_data);
  return founders;
}

Result<std::uint64_t> initial_recovery_threshold(const Configuration& configuration)
{
  std::uint64_t participants = 0;
  std::uint64_t owners = 0;
  for (const auto& member : configuration.members)
  {
    if (!member.encryption_public_key_file)
      continue;
    (member.recovery_role == RecoveryRole::owner ? owners : participants) += 1;
  }
  const auto wanted = configuration.recovery_threshold.value_or(0);
  const std::string key = "'command.start.service_configuration.recovery_threshold'";
  if (wanted == 0)
    return participants != 0 ? participants : owners != 0 ? 1 : 0;
  if (participants == 0 && owners == 0)
    return fail(ErrorCode::invalid, key + " is set but no member has an encryption key");
  if (participants == 0 && wanted > 1)
    return fail(ErrorCode::invalid, key + " can be 1 at most when all recovery members are owners");
  if (participants != 0 && wanted > participants)
    return fail(
        ErrorCode::invalid, key + " is above the number of recovery participants, " + std::to_string(participants));
  return wanted;
}

json::object node_record(
    const Configuration& configuration, const Identity& identity, const attestation::Evidence& evidence,
    const json::value& node_data, const std::map<std::string, std::string>& addresses)
{
  json::object interfaces;
  for (const auto& interface : configuration.interfaces)
  {
    json::object shown = interface.as_configured;
    shown["published_address"] = published_address(interface, addresses);
    interfaces[interface.listen.name] = std::move(shown);
  }
  auto node_to_node = configuration.node_to_node_interface;
  if (!node_to_node.contains("published_address"))
  {
    // Copied first: inserting a member moves the others.
    json::value address = node_to_node.at("bind_address");
    node_to_node["published_address"] = std::move(address);
  }
  return {
      {"code_digest", evidence.claims.code_digest},
      {"encryption_pub_key", identity.encryption_public_key_pem},
      {"ledger_secret_seqno", 1},
      {"node_data", node_data},
      {"node_to_node_interface", std::move(node_to_node)},
      {"public_key", identity.node_key.public_key().pem()},
      {"quote_info",
       {{"endorsements", base::to_base64(evidence.endorsements)},
        {"format", evidence.format},
        {"quote", base::to_base64(evidence.quote)}}},
      {"retired_committed", false},
      {"rpc_interfaces", std::move(interfaces)},
      {"status", "Trusted"}};
}

Result<InitialCertificates> make_certificates(
    const Configuration& configuration, const Identity& identity, const std::map<std::string, std::string>& addresses,
    std::int64_t unix_seconds)
{
  crypto::CertificateRequest service_request;
  service_request.subject = configuration.service_subject;
  service_request.valid_from = unix_seconds;
  service_request.validity_days = configuration.service_validity_days;
  service_request.is_ca = true;
  auto service = crypto::self_signed(identity.service_key, service_request);
  if (!service)
    return fail("cannot make the service certificate", service.error());

  crypto::CertificateRequest node_request;
  node_request.subject = configuration.node_subject;
  node_request.valid_from = unix_seconds;
  node_request.validity_days = configuration.node_validity_days;
  node_request.subject_alt_names = configuration.subject_alt_names;
  if (node_request.subject_alt_names.empty())
    for (const auto& interface : configuration.interfaces)
    {
      const auto host = host_of(published_address(interface, addresses));
      auto name = (is_ip_address(host) ? "iPAddress:" : "dNSName:") + host;
      auto& names = node_request.subject_alt_names;
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(std::move(name));
    }
  auto node = crypto::issue(identity.node_key.public_key(), node_request, identity.service_key, *service);
  if (!node)
    return fail("cannot make the node's certificate", node.error());
  auto self_signed = crypto::self_signed(identity.node_key, node_request);
  if (!self_signed)
    return fail("cannot make the node's self-signed certificate", self_signed.error());
  return InitialCertificates{std::move(*service), std::move(*node), std::move(*self_signed)};
}

void write_genesis(
    Transaction& transaction, const Founders& founders, const Identity& identity,
    const InitialCertificates& certificates, const json::object& record, const attestation::Evidence& evidence,
    std::uint64_t recovery_threshold, const Configuration& configuration, TxId txid)
{
  for (const auto& member : founders.members)
  {
    const auto id = member.certificate.id();
    if (transaction.has(tables::member_certs, id))
      continue;
    transaction.put(tables::member_certs, id, member.certificate_pem);
    json::object info{{"status", "Accepted"}};
    if (!member.data.is_null())
      info["member_data"] = member.data;
    if (!member.encryption_key_pem.empty())
      transaction.put(tables::member_encryption_keys, id, member.encryption_key_pem);
    if (member.role != RecoveryRole::unset)
      info["recovery_role"] = role_name(member.role);
    transaction.put(tables::member_info, id, to_canonical_json(info));
    transaction.put(tables::member_acks, id, to_canonical_json(json::object{{"state_digest", ""}}));
  }
  for (const auto& user : founders.users)
  {
    const auto id = user.certificate.id();
    transaction.put(tables::user_certs, id, user.certificate_pem);
    if (!user.data.is_null())
      transaction.put(tables::user_info, id, to_canonical_json(json::object{{"user_data", user.data}}));
  }

  const auto node_id = identity.node_id();
  transaction.put(tables::node_info, node_id, to_canonical_json(record));
  transaction.put(tables::node_certificates, node_id, certificates.node.pem());
  const json::object service{
      {"cert", certificates.service.pem()},
      {"current_service_create_txid", txid.to_string()},
      {"recovery_count", 0},
      {"service_data", founders.service_data},
      {"status", "Opening"}};
  transaction.put(tables::service_info, ledger::single_key, to_canonical_json(service));
  json::object config = configuration.service_configuration;
  config["recovery_threshold"] = recovery_threshold;
  if (!config.contains("recent_cose_proposals_window_size"))
    config["recent_cose_proposals_window_size"] = default_recent_proposals;
  transaction.put(tables::service_config, ledger::single_key, to_canonical_json(config));
  if (!founders.constitution.empty())
    transaction.put(tables::constitution, ledger::single_key, json::serialize(json::string(founders.constitution)));
  transaction.put(tables::virtual_measurements, evidence.claims.measurement, "\"AllowedToJoin\"");
  transaction.put(tables::virtual_host_data, evidence.claims.host_data, ledger::single_key);
}

void write_opening(Transaction& transaction)
{
  auto service = read_object(transaction, tables::service_info, ledger::single_key).value_or(json::object{});
  service["status"] = "Open";
  transaction.put(tables::service_info, ledger::single_key, to_canonical_json(service));
}
}
