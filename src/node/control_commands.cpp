#include "node/control_commands.h"

#include "base/log.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>
#include <functional>
#include <future>
#include <vector>

namespace concordat::node
{
namespace json = boost::json;

namespace
{
constexpr unsigned max_attempts = 30;
constexpr std::size_t shortest_prefix = 4;

json::object refusal(std::string_view code, std::string_view message)
{
  return {{"error", {{"code", code}, {"message", message}}}};
}

json::object refusal(const Error& error)
{
  switch (error.code)
  {
  case ErrorCode::invalid:
    return refusal("InvalidInput", error.describe());
  case ErrorCode::not_found:
    return refusal("ResourceNotFound", error.describe());
  case ErrorCode::denied:
    return refusal("InvalidNodeState", error.describe());
  default:
    return refusal("InternalError", error.describe());
  }
}

/// The whole id of the one node whose id begins so.
Result<std::string> find_node(ReadTransaction& state, std::string_view prefix)
{
  if (prefix.size() < shortest_prefix)
    return fail(
        ErrorCode::invalid,
        "'node_id' must be a node's id, or at least the first " + std::to_string(shortest_prefix) + " digits of it");
  std::vector<std::string> found;
  const auto nodes = state.scan_prefix(tables::node_info, prefix);
  while (nodes->next())
    found.emplace_back(nodes->key());
  if (found.empty())
    return fail(ErrorCode::not_found, "there is no node whose id begins with these digits");
  if (found.size() > 1)
    return fail(
        ErrorCode::invalid,
        "the ids of " + std::to_string(found.size()) + " nodes begin with these digits; name more of them");
  return found[0];
}

std::string address_of(const json::object& record, std::string_view name)
{
  const auto* const interface = record.if_contains(name);
  return interface && interface->is_object() ? string_member(interface->get_object(), "published_address") : "";
}

json::object list(const Services& services)
{
  kv::SnapshotTransaction state(services.store.committed(), kv::RunBy::node);
  const auto agreement = services.ordering.agreement();
  json::array nodes;
  const auto rows = state.scan(tables::node_info);
  while (rows->next())
  {
    const auto record = node_record_of(state, rows->key());
    if (!record)
      continue;
    const auto id = engine_id_of(state, rows->key());
    json::object addresses;
    if (const auto* const interfaces = record->if_contains("rpc_interfaces"); interfaces && interfaces->is_object())
      for (const auto& [name, interface] : interfaces->get_object())
        addresses[name] = interface.is_object() ? string_member(interface.get_object(), "published_address") : "";
    const auto* const gone = record->if_contains("retired_committed");
    nodes.push_back(json::object{
        {"node_id", rows->key()},
        {"status", string_member(*record, "status")},
        {"retired_committed", gone ? *gone : json::value(false)},
        {"number", id ? json::value(*id) : json::value()},
        {"votes", id && agreement.configuration.role(*id) == consensus::Role::voter},
        {"primary", id && *id == agreement.leader},
        {"self", rows->key() == services.node_id},
        {"node_to_node_address", address_of(*record, "node_to_node_interface")},
        {"rpc_addresses", std::move(addresses)}});
  }
  return {{"nodes", std::move(nodes)}, {"takes_writes", services.ordering.can_write()}};
}

/// Whom to ask instead.
json::object not_primary(const Services& services)
{
  kv::SnapshotTransaction state(services.store.committed(), kv::RunBy::node);
  const auto ids = node_ids(state);
  const auto leader = ids.find(services.ordering.agreement().leader);
  if (leader == ids.end() || leader->second == services.node_id)
    return refusal("PrimaryNotFound", "this node does not know which one is the primary; try again later");
  const auto record = node_record_of(state, leader->second);
  const auto address = record ? address_of(*record, "node_to_node_interface") : "";
  auto answer = refusal(
      "NodeCannotHandleRequest", "this node is not the primary; ask node " + leader->second +
                                     (address.empty() ? "" : ", which other nodes reach at " + address));
  answer["primary"] = leader->second;
  return answer;
}

/// Until something is known, the patience is over, or the node stops.
bool wait_for(std::future<Result<void>>& outcome, std::chrono::milliseconds patience, const std::atomic<bool>& stops)
{
  constexpr std::chrono::milliseconds slice(50);
  while (outcome.wait_for(std::min(patience, slice)) != std::future_status::ready)
  {
    patience -= std::min(patience, slice);
    if (patience.count() == 0 || stops)
      return false;
  }
  return true;
}

/// @return whether anything changed
using Change = std::function<Result<bool>(Transaction&, const std::string& node_id)>;

/// Runs a change in a transaction and waits until it is agreed on.
json::object change(Services& services, std::chrono::milliseconds patience, std::string_view prefix, const Change& what)
{
  if (!services.ordering.can_write())
    return not_primary(services);
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt)
  {
    const auto transaction = services.store.begin_fresh(kv::RunBy::node);
    const auto node_id = find_node(*transaction, prefix);
    if (!node_id)
      return refusal(node_id.error());
    const auto changed = what(*transaction, *node_id);
    if (!changed)
      return refusal(changed.error());
    if (!*changed)
      return {{"changed", false}, {"node_id", *node_id}};
    const auto outcome = std::make_shared<std::promise<Result<void>>>();
    auto agreed = outcome->get_future();
    const auto txid = services.ordering.submit(
        *transaction, {}, [outcome](const Result<void>& result) { outcome->set_value(result); });
    if (!txid && txid.error().code == ErrorCode::conflict)
      continue;
    if (!txid)
      return refusal(txid.error());
    if (!wait_for(agreed, patience, services.stop_notice))
      return refusal(
          "InternalError", "transaction " + txid->to_string() +
                               " waits for agreement; whether it will be agreed on is not known yet, see 'list'");
    if (const auto result = agreed.get(); !result)
      return refusal(result.error());
    return {{"changed", true}, {"node_id", *node_id}, {"transaction", txid->to_string()}};
  }
  return refusal("InternalError", "other transactions changed the same nodes again and again; try again");
}

/// A whole number of days; nothing for what is none.
Result<std::optional<std::uint64_t>> days_of(const json::object& request)
{
  const auto* const days = request.if_contains("days");
  if (!days || days->is_null())
    return std::nullopt;
  if (!days->is_int64() || days->get_int64() < 1)
    return fail(ErrorCode::invalid, "'days' must be a whole number from 1 on");
  return static_cast<std::uint64_t>(days->get_int64());
}
}

ControlCommands::ControlCommands(Services& services, const Identity& identity, std::chrono::milliseconds patience)
    : services_(services),
      identity_(identity),
      patience_(patience)
{
}

std::string ControlCommands::answer(std::string_view line)
{
  const auto parsed = parse_json(line);
  if (!parsed)
    return to_canonical_json(refusal("InvalidInput", "the command cannot be read: " + parsed.error().describe()));
  const auto* const request = parsed->if_object();
  if (!request)
    return to_canonical_json(refusal("InvalidInput", "the command must be a JSON object"));
  const auto command = string_member(*request, "command");
  if (command == "list")
    return to_canonical_json(list(services_));
  const auto node_id = string_member(*request, "node_id");
  const auto days = days_of(*request);
  if (!days)
    return to_canonical_json(refusal(days.error()));

  json::object answered;
  if (command == "trust")
    answered = change(
        services_, patience_, node_id,
        [&](Transaction& transaction, const std::string& id)
        {
          const Certifier certifier{identity_.service_key, services_.ledger_secrets, services_.clock.unix_seconds()};
          return trust_node(transaction, id, certifier, {std::nullopt, *days});
        });
  else if (command == "retire")
    answered = change(
        services_, patience_, node_id,
        [](Transaction& transaction, const std::string& id) { return retire_node(transaction, id); });
  else if (command == "remove")
    answered = change(
        services_, patience_, node_id,
        [&](Transaction& transaction, const std::string& id) -> Result<bool>
        {
          kv::SnapshotTransaction committed(services_.store.committed(), kv::RunBy::node);
          if (auto deleted = delete_node(transaction, committed, id); !deleted)
            return std::unexpected(deleted.error());
          return true;
        });
  else
    return to_canonical_json(
        refusal("InvalidInput", "'command' must be one of 'list', 'trust', 'retire' and 'remove'"));
  const auto answer = to_canonical_json(answered);
  spdlog::info("control socket: {}: {}", command, answer);
  return answer;
}
}
