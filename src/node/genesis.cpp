#include "node/genesis.h"

#include "base/encoding.h"
#include "kv/access.h"
#include "ledger/entry.h"
#include "ledger/secret_record.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace json = boost::json;

namespace
{

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

}

namespace
{
Result<Founders::Member>
read_member(base::FileSystem& files, const MemberConfiguration& configured, const std::string& key)
{
  auto certificate = read_certificate(files, configured.certificate_file);
  if (!certificate)
    return fail("'" + key + ".certificate_file' cannot be used", certificate.error());
  Founders::Member member{*certificate, certificate->pem(), "", nullptr, configured.recovery_role};
  if (configured.encryption_public_key_file)
  {
    const auto where = "'" + key + ".encryption_public_key_file' cannot be used";
    const auto pem = files.read(*configured.encryption_public_key_file, max_input_file);
    if (!pem)
      return fail(where, pem.error());
    const auto encryption_key = crypto::PublicKey::from_pem(*pem);
    if (!encryption_key)
      return fail(
          where + ": '" + *configured.encryption_public_key_file + "' is not a PEM public key", encryption_key.error());
    if (encryption_key->curve()) // one for signatures, which nothing can be encrypted with
      return fail(ErrorCode::invalid, where + ": '" + *configured.encryption_public_key_file + "' is not an RSA key");
    member.encryption_key_pem = encryption_key->pem();
  }
  const bool has_key = !member.encryption_key_pem.empty();
  if (!has_key && (member.role == RecoveryRole::participant || member.role == RecoveryRole::owner))
    return fail(
        ErrorCode::invalid, "'" + key + "': the member of '" + configured.certificate_file +
                                "' is to take part in recovery but has no encryption key");
  if (has_key && member.role == RecoveryRole::non_participant)
    return fail(
        ErrorCode::invalid, "'" + key + "': the member of '" + configured.certificate_file +
                                "' has an encryption key but is not to take part in recovery");
  auto data = read_json(files, configured.data_file);
  if (!data)
    return fail("'" + key + ".data_json_file' cannot be used", data.error());
  member.data = std::move(*data);
  return member;
}

/// Whoever stands there twice would be counted twice, and be one.
template <typename Party>
Result<void> check_distinct(const std::vector<Party>& known, const crypto::Certificate& next, const std::string& list)
{
  for (std::size_t i = 0; i < known.size(); ++i)
    if (known[i].certificate.id() == next.id())
      return fail(
          ErrorCode::invalid, "'" + list + "[" + std::to_string(i) + "]' and '" + list + "[" +
                                  std::to_string(known.size()) + "]' have the same certificate");
  return {};
}
}

Result<Founders> read_founders(base::FileSystem& files, const Configuration& configuration)
{
  Founders founders;
  const std::string members = "command.start.members";
  for (const auto& configured : configuration.members)
  {
    auto member = read_member(files, configured, members + "[" + std::to_string(founders.members.size()) + "]");
    if (!member)
      return std::unexpected(member.error());
    if (auto distinct = check_distinct(founders.members, member->certificate, members); !distinct)
      return std::unexpected(distinct.error());
    founders.members.push_back(std::move(*member));
  }
  const std::string users = "concordat.users";
  for (const auto& configured : configuration.users)
  {
    const auto key = users + "[" + std::to_string(founders.users.size()) + "]";
    auto certificate = read_certificate(files, configured.certificate_file);
    if (!certificate)
      return fail("'" + key + ".certificate_file' cannot be used", certificate.error());
    if (auto distinct = check_distinct(founders.users, *certificate, users); !distinct)
      return std::unexpected(distinct.error());
    auto data = read_json(files, configured.data_file);
    if (!data)
      return fail("'" + key + ".data_json_file' cannot be used", data.error());
    auto pem = certificate->pem();
    founders.users.push_back({std::move(*certificate), std::move(pem), std::move(*data)});
  }
  for (std::size_t i = 0; i < configuration.constitution_files.size(); ++i)
  {
    const auto text = files.read(configuration.constitution_files[i], max_input_file);
    if (!text)
      return fail("'command.start.constitution_files[" + std::to_string(i) + "]' cannot be used", text.error());
    founders.constitution += *text;
  }
  auto node_data = read_node_data(files, configuration);
  if (!node_data)
    return std::unexpected(node_data.error());
  founders.node_data = std::move(*node_data);
  auto service_data = read_json(files, configuration.service_data_file);
  if (!service_data)
    return fail("'service_data_json_file' cannot be used", service_data.error());
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

Result<json::value> read_node_data(base::FileSystem& files, const Configuration& configuration)
{
  auto node_data = read_json(files, configuration.node_data_file);
  if (!node_data)
    return fail("'node_data_json_file' cannot be used", node_data.error());
  return node_data;
}

PublishedInterfaces
published_interfaces(const Configuration& configuration, const std::map<std::string, std::string>& addresses)
{
  PublishedInterfaces interfaces;
  for (const auto& interface : configuration.interfaces)
  {
    json::object shown = interface.as_configured;
    shown["published_address"] = published_address(interface, addresses);
    interfaces.rpc[interface.listen.name] = std::move(shown);
  }
  interfaces.node_to_node = configuration.node_to_node_interface;
  if (!interfaces.node_to_node.contains("published_address"))
  {
    const auto bound = addresses.find(std::string(between_nodes));
    // Copied first: inserting a member moves the others.
    json::value address =
        bound == addresses.end() ? interfaces.node_to_node.at("bind_address") : json::value(bound->second);
    interfaces.node_to_node["published_address"] = std::move(address);
  }
  return interfaces;
}

json::object node_record(
    const Configuration& configuration, const Identity& identity, const attestation::Evidence& evidence,
    const json::value& node_data, const std::map<std::string, std::string>& addresses)
{
  auto interfaces = published_interfaces(configuration, addresses);
  return {
      {"code_digest", evidence.claims.code_digest},
      {"encryption_pub_key", identity.encryption_public_key_pem},
      {"ledger_secret_seqno", 1},
      {"node_data", node_data},
      {"node_to_node_interface", std::move(interfaces.node_to_node)},
      {"public_key", identity.node_key.public_key().pem()},
      {"quote_info",
       {{"endorsements", base::to_base64(evidence.endorsements)},
        {"format", evidence.format},
        {"quote", base::to_base64(evidence.quote)}}},
      {"retired_committed", false},
      {"rpc_interfaces", std::move(interfaces.rpc)},
      {"status", "Trusted"}};
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

Result<void> check_governed(const std::vector<GovernedWrite>& writes)
{
  constexpr std::string_view governance = "public:ccf.gov.";
  const auto& taken = tables::governance_words;
  for (const auto& [map, key, value] : writes)
  {
    const auto name = std::string_view(map).substr(std::min(map.size(), governance.size()));
    const auto word = name.substr(0, name.find('.'));
    const bool own = map.starts_with(governance) && !word.empty() && word.size() < name.size() &&
                     std::find(std::begin(taken), std::end(taken), word) == std::end(taken);
    if (!own)
      return fail(
          ErrorCode::denied,
          "the application may not lay down entries in the map " + kv::quoted_map(map) + " when a service is created");
  }
  return {};
}

void write_opening(Transaction& transaction)
{
  auto service = read_object(transaction, tables::service_info, ledger::single_key).value_or(json::object{});
  service["status"] = "Open";
  transaction.put(tables::service_info, ledger::single_key, to_canonical_json(service));
  if (!transaction.has(ledger::secret_history_table, ledger::single_key))
    transaction.put(ledger::secret_history_table, ledger::single_key, ledger::SecretRecord::of_first().to_json());
}
}
