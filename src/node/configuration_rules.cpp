#include "node/configuration_rules.h"

#include <utility>

namespace concordat::node
{
namespace
{
using Kind = Rule::Kind;

constexpr std::int64_t max_threads = 1024;

Rule text(std::string_view name, bool required = false)
{
  return {name, Kind::text, required};
}

Rule path(std::string_view name, bool required = false)
{
  return {name, Kind::path, required};
}

Rule address(std::string_view name, bool required = false)
{
  return {name, Kind::address, required};
}

Rule count(std::string_view name, std::int64_t least, std::int64_t most)
{
  return {name, Kind::count, false, {}, {}, least, most};
}

/// A certificate that is valid for no day at all would be dead on arrival.
Rule validity(std::string_view name)
{
  constexpr std::int64_t a_hundred_years = 36'500;
  return count(name, 1, a_hundred_years);
}

Rule one_of(std::string_view name, std::vector<std::string_view> choices, bool required = false)
{
  return {name, Kind::choice, required, std::move(choices)};
}

Rule object(std::string_view name, std::vector<Rule> members, bool required = false)
{
  return {name, Kind::object, required, {}, std::move(members)};
}

Rule list_of(std::string_view name, Rule element, bool required = false)
{
  return {name, Kind::list, required, {}, {std::move(element)}};
}

Rule resolver(std::string_view name)
{
  return object(
      name, {one_of("kind", {"NodeByRole", "StaticAddress"}, true),
             object("target", {one_of("role", {"primary", "backup"}), text("interface"), address("address")})});
}

Rule make_network_rule()
{
  const Rule interface{
      "",
      Kind::object,
      false,
      {},
      {address("bind_address", true),
       address("published_address"),
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
                                  {"max_frame_size", Kind::size},
                                  {"max_request_target_size", Kind::size}}),
       object("endorsement", {one_of("authority", {"Service", "Node"}, true)}),
       list_of("accepted_endpoints", text("")),
       list_of("enabled_operator_features", one_of("", {"SnapshotRead", "LedgerChunkRead", "SnapshotCreate"})),
       {"forwarding_timeout_ms", Kind::count},
       object("redirections", {resolver("to_primary"), resolver("to_backup")})}};
  return object(
      "network",
      {object("node_to_node_interface", {address("bind_address", true), address("published_address")}, true),
       {"rpc_interfaces", Kind::named, true, {}, {interface}}},
      true);
}

/// Snapshots are not fetched yet: what is said of them is checked and left aside.
Rule join_rule()
{
  return object(
      "join", {address("target_rpc_address"),
               {"retry_timeout", Kind::duration},
               {"follow_redirect", Kind::boolean},
               {"fetch_recent_snapshot", Kind::boolean},
               {"fetch_snapshot_max_attempts", Kind::count},
               {"fetch_snapshot_retry_interval", Kind::duration},
               {"fetch_snapshot_max_size", Kind::size},
               path("host_data_transparent_statement_path")});
}

Rule sealing_recovery_rule()
{
  return object(
      "sealing_recovery",
      {object("location", {text("name"), address("address")}),
       object(
           "recovery_decision_protocol", {list_of("expected_locations", object("", {text("name"), address("address")})),
                                          {"message_retry_timeout", Kind::duration},
                                          {"failover_timeout", Kind::duration}})});
}

Rule command_rule()
{
  const Rule member = object(
      "", {path("certificate_file", true), path("encryption_public_key_file"), path("data_json_file"),
           one_of("recovery_role", {"NonParticipant", "Participant", "Owner"})});
  return object(
      "command",
      {one_of("type", {"Start", "Join"}, true), path("service_certificate_file"),
       object(
           "start", {list_of("constitution_files", path("")), list_of("members", member),
                     validity("initial_service_certificate_validity_days"), text("service_subject_name"),
                     object("cose_signatures", {text("issuer"), text("subject")}),
                     object(
                         "service_configuration", {{"recovery_threshold", Kind::count},
                                                   validity("maximum_node_certificate_validity_days"),
                                                   validity("maximum_service_certificate_validity_days"),
                                                   {"recent_cose_proposals_window_size", Kind::count}})}),
       join_rule(),
       object(
           "recover", {validity("initial_service_certificate_validity_days"), path("previous_service_identity_file"),
                       path("previous_sealed_ledger_secret_location"), text("previous_local_sealing_identity")})},
      true);
}
}

const Rule& network_rule()
{
  static const Rule rule = make_network_rule();
  return rule;
}

const Rule& configuration_rule()
{
  static const Rule rule = object(
      "",
      {network_rule(),
       command_rule(),
       object(
           "node_certificate", {text("subject_name"), list_of("subject_alt_names", text("")),
                                one_of("curve_id", {"Secp256R1", "Secp384R1"}), validity("initial_validity_days")}),
       path("node_data_json_file"),
       path("service_data_json_file"),
       object(
           "attestation",
           {path("snp_security_policy_file"), path("snp_uvm_endorsements_file"), path("snp_endorsements_file"),
            list_of(
                "snp_endorsements_servers", object(
                                                "", {one_of("type", {"Azure", "AMD", "THIM"}),
                                                     text("url", true),
                                                     {"max_retries_count", Kind::count}}))}),
       object(
           "ledger", {path("directory"),
                      list_of("read_only_directories", path("")),
                      {"chunk_size", Kind::size},
                      {"max_transaction_size", Kind::size}}),
       object(
           "snapshots", {path("directory"),
                         {"tx_count", Kind::count},
                         {"min_tx_count", Kind::count},
                         {"time_interval", Kind::duration},
                         path("read_only_directory"),
                         object(
                             "backup_fetch", {{"enabled", Kind::boolean},
                                              {"max_attempts", Kind::count},
                                              {"retry_interval", Kind::duration},
                                              {"max_size", Kind::size},
                                              text("target_rpc_interface")})}),
       object(
           "files_cleanup", {{"max_snapshots", Kind::count},
                             {"max_committed_ledger_chunks", Kind::count},
                             {"interval", Kind::duration}}),
       object("identity_history_fetch", {{"max_attempts", Kind::count}, {"retry_interval", Kind::duration}}),
       {"pending_node_timeout", Kind::duration},
       sealing_recovery_rule(),
       object(
           "logging",
           {one_of("host_level", {"Trace", "Debug", "Info", "Fail", "Fatal"}), one_of("format", {"Text", "Json"})}),
       object(
           "consensus", {{"message_timeout", Kind::duration},
                         {"election_timeout", Kind::duration},
                         {"max_uncommitted_tx_count", Kind::count}}),
       object("ledger_signatures", {{"tx_count", Kind::count}, {"delay", Kind::duration}}),
       object("jwt", {{"key_refresh_interval", Kind::duration}, {"key_refresh_max_response_size", Kind::size}}),
       object(
           "output_files", {path("node_certificate_file"), path("pid_file"), path("node_to_node_address_file"),
                            path("rpc_addresses_file"), path("sealed_ledger_secret_location")}),
       {"tick_interval", Kind::duration},
       {"slow_io_logging_threshold", Kind::duration},
       text("node_client_interface"),
       {"client_connection_timeout", Kind::duration},
       {"idle_connection_timeout", Kind::duration},
       count("worker_threads", 0, max_threads),
       object(
           "memory", {{"circuit_size", Kind::size}, {"max_msg_size", Kind::size}, {"max_fragment_size", Kind::size}}),
       {"ignore_first_sigterm", Kind::boolean},
       {"node_to_node_message_limit", Kind::count},
       {"historical_cache_soft_limit", Kind::size},
       {"enclave", Kind::anything},
       object(
           "concordat", {list_of("users", object("", {path("certificate_file", true), path("data_json_file")})),
                         {"open_service", Kind::boolean},
                         path("sealed_directory"),
                         path("sealing_key_file"),
                         path("control_socket"),
                         {"trusted_disks", Kind::boolean},
                         object(
                             "handlers", {count("threads", 0, max_threads),
                                          count("max_waiting", 1, 1'000'000),
                                          {"max_waiting_size", Kind::size},
                                          {"deadline", Kind::duration},
                                          {"inline_body_size", Kind::size}}),
                         object(
                             "transactions", {{"max_size", Kind::size},
                                              {"max_waiting_size", Kind::size},
                                              count("max_batch_count", 0, 1'000'000),
                                              {"max_batch_size", Kind::size}}),
                         object(
                             "http", {{"handshake_timeout", Kind::duration},
                                      {"request_timeout", Kind::duration},
                                      {"answer_timeout", Kind::duration},
                                      {"min_answer_rate", Kind::size},
                                      {"answer_rate_period", Kind::duration},
                                      count("max_streams", 1, 1'000'000),
                                      {"piece_timeout", Kind::duration},
                                      count("max_handshakes", 1, 1'000'000),
                                      count("max_known_sessions", 0, 1'000'000),
                                      {"max_unfinished_requests", Kind::size},
                                      {"max_waiting_answers", Kind::size},
                                      count("open_files_kept_back", 0, 1'000'000)}),
                         {"application", Kind::anything}})});
  return rule;
}
}
