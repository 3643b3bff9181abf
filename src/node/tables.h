#pragma once

#include <string_view>

/// Names of the tables that the node itself reads and writes (governance.md §3).
namespace concordat::node::tables
{
inline constexpr std::string_view member_certs = "public:ccf.gov.members.certs";
inline constexpr std::string_view member_encryption_keys = "public:ccf.gov.members.encryption_public_keys";
inline constexpr std::string_view member_info = "public:ccf.gov.members.info";
inline constexpr std::string_view member_acks = "public:ccf.gov.members.acks";
inline constexpr std::string_view user_certs = "public:ccf.gov.users.certs";
inline constexpr std::string_view user_info = "public:ccf.gov.users.info";
inline constexpr std::string_view node_info = "public:ccf.gov.nodes.info";
inline constexpr std::string_view node_certificates = "public:ccf.gov.nodes.endorsed_certificates";
inline constexpr std::string_view virtual_measurements = "public:ccf.gov.nodes.virtual.measurements";
inline constexpr std::string_view virtual_host_data = "public:ccf.gov.nodes.virtual.host_data";
inline constexpr std::string_view service_info = "public:ccf.gov.service.info";
inline constexpr std::string_view service_config = "public:ccf.gov.service.config";
inline constexpr std::string_view previous_service_identity = "public:ccf.gov.service.previous_service_identity";
/// Key: the seqno of the transaction that goes on after a loss, 8 bytes little-endian; docs/operate.md.
inline constexpr std::string_view accepted_losses = "public:ccf.internal.accepted_losses";
/// Key: node id; value: the number of the node in consensus, see engine_ids.h. Rows are never removed.
inline constexpr std::string_view engine_ids = "public:ccf.internal.concordat.engine_ids";
/// Key: node id; value: `{"former": [1, 4], "id": 7, "start": "<16 hex digits>"}`: the number that the node takes part
/// under since it came back last, the start of it that the number was given to, and the last ones that it had before.
inline constexpr std::string_view returns = "public:ccf.internal.concordat.returns";
/// Key: node id; value: `{"missing": [3], "start": "<16 hex digits>"}`: the voters without whose word that node went on
/// when it came back last, as its operator had said (`--accept-loss`); docs/operate.md.
inline constexpr std::string_view accepted_absences = "public:ccf.internal.concordat.accepted_absences";
/// What names under `public:ccf.gov.` begin with that are the framework's (governance.md §3.1).
inline constexpr std::string_view governance_words[] = {
    "constitution", "cose_history", "cose_recent_proposals",    "endpoints",
    "history",      "interpreter",  "js_runtime_options",       "jwt",
    "members",      "modules",      "modules_quickjs_bytecode", "modules_quickjs_version",
    "nodes",        "proposals",    "proposals_info",           "service",
    "tls",          "users"};
inline constexpr std::string_view constitution = "public:ccf.gov.constitution";
}
