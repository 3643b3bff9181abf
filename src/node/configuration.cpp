#include "node/configuration.h"

#include "crypto/cose.h"
#include "node/schema.h"

#include <boost/json.hpp>

#include <regex>

namespace concordat::node
{
namespace
{
using Kind = Rule::Kind;
namespace json = boost::json;

constexpr std::size_t max_nesting = 16;

Rule text(std::string_view name, bool required = false, bool nullable = false)
{
  return {name, Kind::text, required, nullable};
}

Rule one_of(std::string_view name, std::vector<std::string_view> choices, bool required = false)
{
  return {name, Kind::choice, required, false, std::move(choices)};
}

Rule object(std::string_view name, std::vector<Rule> members, bool required = false, bool nullable = false)
{
  return {name, Kind::object, required, nullable, {}, std::move(members)};
}

Rule list_of(std::string_view name, Rule element, bool required = false)
{
  return {name, Kind::list, required, false, {}, {std::move(element)}};
}

Rule resolver(std::string_view name)
{
  return object(
      name, {one_of("kind", {"NodeByRole", "StaticAddress"}, true),
             object("target", {one_of("role", {"primary", "backup"}), text("interface"), text("address")})});
}

Rule network_rule()
{
  const Rule interface{
      "",
      Kind::object,
      false,
      false,
      {},
      {text("bind_address", true),
       text("published_address"),
       one_of("protocol", {"tcp"}),
       one_of("app_protocol", {"HTTP1"}),
       {"max_open_sessions_soft", Kind::count},
       {"max_open_sessions_hard", Kind::count},
       object(
           "http_configuration", {{"max_body_size", Kind::size},
                                  {"max_header_size", Kind::size},
                                  {"max_headers_count", Kind::count},
                                  {"max_concurrent_streams_count", Kind::count},
                                  {"initial_window_size", Kind::size},
                                  {"max_frame_size", Kind::size}}),
       object("endorsement", {one_of("authority", {"Service", "Node"}, true)}),
       list_of("accepted_endpoints", text("")),
       {"forwarding_timeout_ms", Kind::count},
       object("redirections", {resolver("to_primary"), resolver("to_backup")})}};
  return object(
      "network",
      {object("node_to_node_interface", {text("bind_address", true), text("published_address")}, true),
       {"rpc_interfaces", Kind::named, true, false, {}, {interface}}},
      true);
}

Rule command_rule()
{
  const Rule member = object(
      "", {text("certificate_file", true), text("encryption_public_key_file", false, true),
           text("data_json_file", false, true), one_of("recovery_role", {"NonParticipant", "Participant", "Owner"})});
  return object(
      "command",
      {one_of("type", {"Start"}, true), text("service_certificate_file"),
       object(
           "start",
           {list_of("constitution_files", text("")),
            list_of("members", member, true),
            {"initial_service_certificate_validity_days", Kind::count},
            text("service_subject_name"),
            object("cose_signatures", {text("issuer"), text("subject")}),
            object(
                "service_configuration", {{"recovery_threshold", Kind::count},
                                          {"maximum_node_certificate_validity_days", Kind::count},
                                          {"maximum_service_certificate_validity_days", Kind::count},
                                          {"recent_cose_proposals_window_size", Kind::count}})},
           true)},
      true);
}

const Rule& file_rule()
{
  static const Rule rule = object(
      "",
      {network_rule(),
       command_rule(),
       object(
           "node_certificate", {text("subject_name"),
                                list_of("subject_alt_names", text("")),
                                one_of("curve_id", {"Secp256R1", "Secp384R1"}),
                                {"initial_validity_days", Kind::count}}),
       text("node_data_json_file", false, true),
       text("service_data_json_file", false, true),
       object(
           "attestation", {text("snp_security_policy_file", false, true),
                           text("snp_uvm_endorsements_file", false, true), text("snp_endorsements_file", false, true),
                           list_of(
                               "snp_endorsements_servers", object(
                                                               "", {one_of("type", {"Azure", "AMD", "THIM"}),
                                                                    text("url", true),
                                                                    {"max_retries_count", Kind::count}}))}),
       object("ledger", {text("directory"), list_of("read_only_directories", text("")), {"chunk_size", Kind::size}}),
       object("snapshots", {text("directory"), {"tx_count", Kind::count}, text("read_only_directory", false, true)}),
       object(
           "logging",
           {one_of("host_level", {"Trace", "Debug", "Info", "Fail", "Fatal"}), one_of("format", {"Text", "Json"})}),
       object(
           "consensus", {{"message_timeout", Kind::duration},
                         {"election_timeout", Kind::duration},
                         {"max_uncommitted_tx_count", Kind::count}}),
       object("ledger_signatures", {{"tx_count", Kind::count}, {"delay", Kind::duration}}),
       object("jwt", {{"key_refresh_interval", Kind::duration}}),
       object(
           "output_files", {text("node_certificate_file"), text("pid_file"), text("node_to_node_address_file"),
                            text("rpc_addresses_file"), text("sealed_ledger_secret_location")}),
       {"tick_interval", Kind::duration},
       {"slow_io_logging_threshold", Kind::duration},
       text("node_client_interface", false, true),
       {"client_connection_timeout", Kind::duration},
       {"idle_connection_timeout", Kind::duration, false, true},
       {"worker_threads", Kind::count},
       object(
           "memory", {{"circuit_size", Kind::size}, {"max_msg_size", Kind::size}, {"max_fragment_size", Kind::size}}),
       {"ignore_first_sigterm", Kind::boolean},
       {"node_to_node_message_limit", Kind::count},
       {"historical_cache_soft_limit", Kind::size},
       {"enclave", Kind::anything},
       object(
           "concordat",
           {list_of("users", object("", {text("certificate_file", true), text("data_json_file", false, true)})),
            {"open_service", Kind::boolean},
            text("sealed_directory"),
            text("sealing_key_file"),
            object(
                "handlers", {{"threads", Kind::count},
                             {"max_waiting", Kind::count},
                             {"max_waiting_size", Kind::size},
                             {"deadline", Kind::duration},
                             {"inline_body_size", Kind::size}}),
            {"application", Kind::anything}})});
  return rule;
}

/// Reads members of an object that has been checked; an absent object has no members.
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
    const auto* const found = object_ ? object_->if_contains(name) : nullptr;
    return found && !found->is_null() ? found : nullptr;
  }
  bool is_null(std::string_view name) const
  {
    const auto* const found = object_ ? object_->if_contains(name) : nullptr;
    return found && found->is_null();
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
      out = std::chrono::milliseconds(parse_duration(found->get_string()).value_or(0) / 1000);
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

Result<void> read_interfaces(const json::object& network, Section file, Configuration& out)
{
  http::Limits defaults;
  if (const auto* const idle = file.find("idle_connection_timeout"))
    defaults.idle_timeout_ms = parse_duration(idle->get_string()).value_or(0) / 1000;
  else if (file.is_null("idle_connection_timeout"))
    defaults.idle_timeout_ms = 0;

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
    if (section.find("accepted_endpoints"))
    {
      interface.accepted_endpoints.emplace();
      section.read_list("accepted_endpoints", *interface.accepted_endpoints);
      for (const auto& expression : *interface.accepted_endpoints)
      {
        try
        {
          (void)std::regex(expression);
        }
        catch (const std::regex_error&)
        {
          return fail(
              ErrorCode::invalid, "'network.rpc_interfaces." + std::string(name) + ".accepted_endpoints' holds '" +
                                      expression + "', which is not a regular expression");
        }
      }
    }
    out.interfaces.push_back(std::move(interface));
  }
  if (out.interfaces.empty())
    return fail(ErrorCode::invalid, "'network.rpc_interfaces' must have at least one interface");
  return {};
}

void read_start(Section start, Configuration& out)
{
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
  const auto handlers = ours.section("handlers");
  handlers.read_count("threads", out.handlers.threads);
  handlers.read_count("max_waiting", out.handlers.max_waiting);
  handlers.read_size("max_waiting_size", out.handlers.max_waiting_size);
  handlers.read_duration("deadline", out.handlers.deadline);
  handlers.read_size("inline_body_size", out.handlers.inline_body_size);
}
}

Result<Configuration> parse_configuration(std::string_view text)
{
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = max_nesting;
  const auto value = json::parse(text, error, {}, options);
  if (error)
    return fail(ErrorCode::invalid, "the configuration is not JSON: " + error.message());
  if (auto good = check_against(file_rule(), value, ""); !good)
    return std::unexpected(good.error());

  const Section file(&value.get_object());
  Configuration out;
  const auto& network = file.find("network")->get_object();
  if (auto read = read_interfaces(network, file, out); !read)
    return std::unexpected(read.error());
  out.node_to_node_interface = network.at("node_to_node_interface").get_object();

  const auto command = file.section("command");
  command.read("service_certificate_file", out.service_certificate_file);
  read_start(command.section("start"), out);

  if (std::max(out.cose_issuer.size(), out.cose_subject.size()) > crypto::root_claim_limit)
    return fail(
        ErrorCode::invalid, "'command.start.cose_signatures' holds a text of more than " +
                                std::to_string(crypto::root_claim_limit) + " bytes");

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
  file.section("consensus").read_count("max_uncommitted_tx_count", out.max_uncommitted);
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
