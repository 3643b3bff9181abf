#include "node/configuration.h"

#include "base/check.h"
#include "crypto/cose.h"
#include "net/address.h"
#include "node/certificates.h"
#include "node/configuration_rules.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <map>
#include <regex>
#include <utility>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

/// Reads members of an object that has been checked and has no nulls; an absent object has no members.
class Section
{
public:
  explicit Section(const json::object* object) : object_(object) {}

  Section section(std::string_view name) const
  {
    const auto* const found = find(name);
    return Section(found ? &found->get_object() : nullptr);
  }
  const json::value* find(std::string_view name) const
  {
    return object_ ? object_->if_contains(name) : nullptr;
  }
  void read(std::string_view name, std::string& out) const
  {
    if (const auto* const found = find(name))
      out = found->get_string();
  }
  void read(std::string_view name, std::optional<std::string>& out) const
  {
    if (const auto* const found = find(name))
      out = std::string(found->get_string());
  }
  void read(std::string_view name, bool& out) const
  {
    if (const auto* const found = find(name))
      out = found->get_bool();
  }
  template <std::unsigned_integral T> void read_count(std::string_view name, T& out) const
  {
    if (const auto* const found = find(name))
      out = found->to_number<T>();
  }
  void read_size(std::string_view name, std::uint64_t& out) const
  {
    if (const auto* const found = find(name))
      out = parse_size(found->get_string()).value_or(out);
  }
  void read_duration(std::string_view name, std::chrono::milliseconds& out) const
  {
    if (const auto* const found = find(name))
      out = std::chrono::ceil<std::chrono::milliseconds>(
          std::chrono::microseconds(parse_duration(found->get_string()).value_or(0)));
  }
  void read_list(std::string_view name, std::vector<std::string>& out) const
  {
    if (const auto* const found = find(name))
      for (const auto& element : found->get_array())
        out.emplace_back(element.get_string());
  }

private:
  const json::object* object_;
};

Result<void> read_expressions(const std::string& path, const std::vector<std::string>& expressions)
{
  for (std::size_t i = 0; i < expressions.size(); ++i)
    try
    {
      (void)std::regex(expressions[i]);
    }
    catch (const std::regex_error&)
    {
      return fail(
          ErrorCode::invalid,
          "'" + path + "[" + std::to_string(i) + "]' is '" + expressions[i] + "', which is not a regular expression");
    }
  return {};
}

/// Two interfaces cannot listen on one port of one host, and a wildcard stands for all hosts.
Result<void> check_addresses(const std::vector<RpcInterface>& interfaces)
{
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> by_port; // host, interface
  for (const auto& interface : interfaces)
  {
    const auto address = net::split_address(interface.listen.bind_address);
    CHECK(address, "addresses have been checked");
    const auto port = std::to_string(std::stoul(address->port));
    if (port == "0")
      continue;
    for (const auto& [host, name] : by_port[port])
      if (host == address->host || is_wildcard(host) || is_wildcard(address->host))
        return fail(
            ErrorCode::invalid, "'network.rpc_interfaces." + interface.listen.name + ".bind_address' and '" +
                                    "network.rpc_interfaces." + name + ".bind_address' are the same address");
    by_port[port].emplace_back(address->host, interface.listen.name);
  }
  return {};
}

/// How long clients are waited for, and how much of them is held meanwhile.
void read_http(Section http, http::Limits& limits, std::uint64_t& open_files_kept_back)
{
  const auto read_time = [&](std::string_view name, std::uint64_t& out)
  {
    std::chrono::milliseconds time(out);
    http.read_duration(name, time);
    out = static_cast<std::uint64_t>(time.count());
  };
  read_time("handshake_timeout", limits.handshake_timeout_ms);
  read_time("request_timeout", limits.request_timeout_ms);
  read_time("answer_timeout", limits.answer_timeout_ms);
  http.read_size("min_answer_rate", limits.min_answer_rate);
  read_time("answer_rate_period", limits.answer_rate_period_ms);
  http.read_count("max_streams", limits.max_streams);
  read_time("piece_timeout", limits.piece_timeout_ms);
  http.read_count("max_handshakes", limits.max_handshakes);
  http.read_count("max_known_sessions", limits.max_known_sessions);
  http.read_size("max_unfinished_requests", limits.max_unfinished_requests);
  http.read_size("max_waiting_answers", limits.max_waiting_answers);
  http.read_count("open_files_kept_back", open_files_kept_back);
}

/// @param path  of `target`
Result<void> read_target(const Section& target, const std::string& path, RedirectionTarget& out)
{
  const auto details = target.section("target");
  std::string kind = "NodeByRole";
  target.read("kind", kind);
  if (kind == "StaticAddress")
  {
    details.read("address", out.address);
    if (out.address.empty())
      return fail(ErrorCode::invalid, "'" + path + ".target.address' is missing");
    return {};
  }
  std::string role = out.role == RedirectionTarget::Role::primary ? "primary" : "backup";
  details.read("role", role);
  out.role = role == "primary" ? RedirectionTarget::Role::primary : RedirectionTarget::Role::backup;
  details.read("interface", out.interface);
  return {};
}

Result<void> read_interfaces(
    const json::object& network, std::optional<std::chrono::milliseconds> idle_timeout, Section clients,
    Configuration& out)
{
  http::Limits defaults;
  read_http(clients, defaults, out.open_files_kept_back);
  if (idle_timeout)
    defaults.idle_timeout_ms = static_cast<std::uint64_t>(idle_timeout->count());

  for (const auto& [name, value] : network.at("rpc_interfaces").get_object())
  {
    RpcInterface interface;
    interface.as_configured = value.get_object();
    const Section section(&interface.as_configured);
    interface.listen.name = std::string(name);
    interface.listen.limits = defaults;
    auto& limits = interface.listen.limits;
    section.read("bind_address", interface.listen.bind_address);
    section.read("published_address", interface.published_address);
    section.read_count("max_open_sessions_soft", limits.max_open_sessions_soft);
    section.read_count("max_open_sessions_hard", limits.max_open_sessions_hard);
    const auto http = section.section("http_configuration");
    http.read_size("max_body_size", limits.max_body_size);
    http.read_size("max_header_size", limits.max_header_size);
    http.read_count("max_headers_count", limits.max_headers_count);
    std::string authority = "Service";
    section.section("endorsement").read("authority", authority);
    interface.endorsed_by_service = authority == "Service";
    auto timeout = static_cast<std::uint64_t>(interface.forwarding_timeout.count());
    section.read_count("forwarding_timeout_ms", timeout);
    interface.forwarding_timeout = std::chrono::milliseconds(timeout);
    const auto here = "network.rpc_interfaces." + std::string(name);
    if (limits.max_open_sessions_hard < limits.max_open_sessions_soft)
      return fail(
          ErrorCode::invalid, "'" + here + ".max_open_sessions_hard' must not be below 'max_open_sessions_soft' (" +
                                  std::to_string(limits.max_open_sessions_soft) + ")");
    if (section.find("accepted_endpoints"))
    {
      interface.accepted_endpoints.emplace();
      section.read_list("accepted_endpoints", *interface.accepted_endpoints);
      if (auto read = read_expressions(here + ".accepted_endpoints", *interface.accepted_endpoints); !read)
        return read;
    }
    if (section.find("redirections"))
    {
      auto& redirections = interface.redirections.emplace();
      const auto both = section.section("redirections");
      const auto there = here + ".redirections.";
      if (auto read = read_target(both.section("to_primary"), there + "to_primary", redirections.to_primary); !read)
        return read;
      if (auto read = read_target(both.section("to_backup"), there + "to_backup", redirections.to_backup); !read)
        return read;
    }
    out.interfaces.push_back(std::move(interface));
  }
  if (out.interfaces.empty())
    return fail(ErrorCode::invalid, "'network.rpc_interfaces' must have at least one interface");
  return check_addresses(out.interfaces);
}

/// One that is not named follows the other, in the proportion of the defaults.
Result<void> read_consensus(Section consensus, Configuration& out)
{
  constexpr unsigned messages_in_silence = 8;
  consensus.read_count("max_uncommitted_tx_count", out.max_uncommitted);
  consensus.read_duration("message_timeout", out.message_timeout);
  consensus.read_duration("election_timeout", out.election_timeout);
  const bool message_named = consensus.find("message_timeout") != nullptr;
  if (!consensus.find("election_timeout"))
    out.election_timeout = std::max(out.election_timeout, out.message_timeout * messages_in_silence);
  else if (!message_named)
    out.message_timeout = std::min(out.message_timeout, out.election_timeout / messages_in_silence);
  if (out.message_timeout.count() == 0)
    return fail(
        ErrorCode::invalid,
        message_named ? "'consensus.message_timeout' must not be zero"
                      : "'consensus.election_timeout' must be at least " + std::to_string(messages_in_silence) + "ms");
  constexpr std::chrono::hours most(1);
  if (out.election_timeout > most)
    return fail(ErrorCode::invalid, "'consensus.election_timeout' must be 1h at most");
  if (out.election_timeout < 2 * out.message_timeout)
    return fail(
        ErrorCode::invalid, "'consensus.election_timeout' must be at least twice 'consensus.message_timeout' (" +
                                std::to_string(out.message_timeout.count()) +
                                "ms): a primary that is well would be taken for a lost one");
  return {};
}

Result<void> read_join(Section join, Configuration& out)
{
  auto& target = out.join.emplace();
  join.read("target_rpc_address", target.target_rpc_address);
  if (target.target_rpc_address.empty())
    return fail(
        ErrorCode::invalid, "'command.join.target_rpc_address' is missing: a node of the service that is to be joined");
  join.read_duration("retry_timeout", target.retry_timeout);
  join.read("follow_redirect", target.follow_redirect);
  if (target.retry_timeout.count() == 0)
    return fail(ErrorCode::invalid, "'command.join.retry_timeout' must not be zero");
  return {};
}

Result<void> read_start(Section start, Configuration& out)
{
  if (!start.find("members"))
    return fail(ErrorCode::invalid, "'command.start.members' is missing");
  start.read_list("constitution_files", out.constitution_files);
  for (const auto& value : start.find("members")->get_array())
  {
    const Section section(&value.get_object());
    MemberConfiguration member;
    section.read("certificate_file", member.certificate_file);
    section.read("encryption_public_key_file", member.encryption_public_key_file);
    section.read("data_json_file", member.data_file);
    std::string role;
    section.read("recovery_role", role);
    member.recovery_role = role == "NonParticipant" ? RecoveryRole::non_participant
                         : role == "Participant"    ? RecoveryRole::participant
                         : role == "Owner"          ? RecoveryRole::owner
                                                    : RecoveryRole::unset;
    out.members.push_back(std::move(member));
  }
  start.read_count("initial_service_certificate_validity_days", out.service_validity_days);
  start.read("service_subject_name", out.service_subject);
  const auto cose = start.section("cose_signatures");
  cose.read("issuer", out.cose_issuer);
  cose.read("subject", out.cose_subject);
  if (const auto* const given = start.find("service_configuration"))
  {
    out.service_configuration = given->get_object();
    if (const auto* const threshold = out.service_configuration.if_contains("recovery_threshold"))
      out.recovery_threshold = threshold->to_number<std::uint64_t>();
    out.service_configuration.erase("recovery_threshold");
  }
  if (std::max(out.cose_issuer.size(), out.cose_subject.size()) > crypto::root_claim_limit)
    return fail(
        ErrorCode::invalid, "'command.start.cose_signatures' holds a text of more than " +
                                std::to_string(crypto::root_claim_limit) + " bytes");
  return {};
}

void read_ours(Section ours, Configuration& out)
{
  if (const auto* const users = ours.find("users"))
    for (const auto& value : users->get_array())
    {
      const Section section(&value.get_object());
      UserConfiguration user;
      section.read("certificate_file", user.certificate_file);
      section.read("data_json_file", user.data_file);
      out.users.push_back(std::move(user));
    }
  ours.read("open_service", out.open_service);
  ours.read("sealed_directory", out.sealed_directory);
  ours.read("sealing_key_file", out.sealing_key_file);
  ours.read("control_socket", out.control_socket);
  ours.read("trusted_disks", out.trusted_disks);
  const auto handlers = ours.section("handlers");
  handlers.read_count("threads", out.handlers.threads);
  handlers.read_count("max_waiting", out.handlers.max_waiting);
  handlers.read_size("max_waiting_size", out.handlers.max_waiting_size);
  handlers.read_duration("deadline", out.handlers.deadline);
  handlers.read_size("inline_body_size", out.handlers.inline_body_size);
  const auto transactions = ours.section("transactions");
  transactions.read_size("max_size", out.transactions.max_size);
  transactions.read_size("max_waiting_size", out.transactions.max_waiting_size);
  transactions.read_count("max_batch_count", out.transactions.max_batch_count);
  transactions.read_size("max_batch_size", out.transactions.max_batch_size);
}
}

Result<Configuration> parse_configuration(std::string_view text)
{
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark))
    text.remove_prefix(byte_order_mark.size());
  auto parsed = parse_json(text);
  if (!parsed)
    return fail("the configuration is not readable", parsed.error());
  if (const auto twice = twice_named_key(text))
    return fail(ErrorCode::invalid, *twice);
  auto& value = *parsed;
  if (auto good = check_against(configuration_rule(), value, ""); !good)
    return std::unexpected(good.error());

  // A null says the same as nothing, with one exception (http-api.md §4.4).
  const auto* const idle = value.get_object().if_contains("idle_connection_timeout");
  std::optional<std::chrono::milliseconds> idle_timeout;
  if (idle && idle->is_null())
    idle_timeout.emplace();
  remove_nulls(value);

  const Section file(&value.get_object());
  Configuration out;
  const auto& network = file.find("network")->get_object();
  if (file.find("idle_connection_timeout"))
    file.read_duration("idle_connection_timeout", idle_timeout.emplace());
  if (auto read = read_interfaces(network, idle_timeout, file.section("concordat").section("http"), out); !read)
    return std::unexpected(read.error());
  out.node_to_node_interface = network.at("node_to_node_interface").get_object();

  const auto command = file.section("command");
  command.read("service_certificate_file", out.service_certificate_file);
  const bool joins = command.find("type")->get_string() == "Join";
  if (auto read = joins ? read_join(command.section("join"), out) : read_start(command.section("start"), out); !read)
    return std::unexpected(read.error());

  const auto certificate = file.section("node_certificate");
  certificate.read("subject_name", out.node_subject);
  certificate.read_list("subject_alt_names", out.subject_alt_names);
  certificate.read_count("initial_validity_days", out.node_validity_days);
  std::string curve = "Secp256R1";
  certificate.read("curve_id", curve);
  out.curve = curve == "Secp384R1" ? crypto::Curve::p384 : crypto::Curve::p256;
  file.read("node_data_json_file", out.node_data_file);
  file.read("service_data_json_file", out.service_data_file);

  const auto ledger = file.section("ledger");
  ledger.read("directory", out.ledger_directory);
  ledger.read_size("chunk_size", out.chunk_size);
  if (out.chunk_size == 0 || out.chunk_size > std::numeric_limits<std::uint32_t>::max())
    return fail(ErrorCode::invalid, "'ledger.chunk_size' must be between 1B and 4GB");
  file.section("snapshots").read("directory", out.snapshots_directory);
  std::string format = "Text";
  file.section("logging").read("format", format);
  out.log_format = format == "Json" ? base::LogFormat::json : base::LogFormat::text;
  if (auto read = read_consensus(file.section("consensus"), out); !read)
    return std::unexpected(read.error());
  file.read_count("worker_threads", out.worker_threads);

  const auto output = file.section("output_files");
  output.read("node_certificate_file", out.node_certificate_file);
  output.read("pid_file", out.pid_file);
  output.read("rpc_addresses_file", out.rpc_addresses_file);
  output.read("node_to_node_address_file", out.node_to_node_address_file);

  const auto ours = file.section("concordat");
  read_ours(ours, out);
  if (const auto* const application = ours.find("application"))
  {
    if (!application->is_object())
      return fail(ErrorCode::invalid, "'concordat.application' must be an object");
    out.application = application->get_object();
  }
  return out;
}
}
