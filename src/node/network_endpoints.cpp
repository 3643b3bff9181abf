#include "node/network_endpoints.h"

#include "ledger/entry.h"
#include "node/common_endpoints.h"
#include "node/connection_context.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/redirection.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

Response not_found(std::string_view message)
{
  return Response::error(404, "ResourceNotFound", message);
}

Response unknown_primary()
{
  return Response::error(500, "InternalError", "No primary is known at present");
}

json::value or_null(const std::optional<std::string>& text)
{
  return text ? json::value(*text) : json::value();
}

/// For endpoints that touch no map by the rules, and still say what is known.
kv::SnapshotTransaction committed(const Services& services)
{
  return kv::SnapshotTransaction(services.store.committed(), kv::RunBy::node);
}

Response network(const Services& services, ReadTransaction& state)
{
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  if (!service)
    return not_found("There is no service yet");
  const auto member = [&](std::string_view name)
  {
    const auto* const found = service->if_contains(name);
    return found ? *found : json::value();
  };
  const auto* const recoveries = service->if_contains("recovery_count");
  return answer(json::object{
      {"current_service_create_txid", member("current_service_create_txid")},
      {"current_view", services.ordering.view()},
      {"primary_id", or_null(primary_id(services, state))},
      {"recovery_count", recoveries ? *recoveries : json::value(0)},
      {"service_certificate", member("cert")},
      {"service_data", member("service_data")},
      {"service_status", member("status")}});
}

/// http-api.md §6.3
json::object node_object(
    ReadTransaction& state, std::string_view id, const json::object& record, const std::optional<std::string>& primary)
{
  const auto* const data = record.if_contains("node_data");
  const auto* const interfaces = record.if_contains("rpc_interfaces");
  return {
      {"last_written", state.version(tables::node_info, id).value_or(0)},
      {"node_data", data ? *data : json::value()},
      {"node_id", id},
      {"primary", id == primary},
      {"rpc_interfaces", interfaces ? *interfaces : json::object{}},
      {"status", string_member(record, "status")}};
}

Response one_node(const Services& services, ReadTransaction& state, std::string_view id)
{
  const auto record = node_record_of(state, id);
  return record ? answer(node_object(state, id, *record, primary_id(services, state)))
                : not_found("There is no such node");
}

/// What this node is configured to be, as long as the service does not know it.
Response own_node(const Services& services, ReadTransaction& state)
{
  if (node_record_of(state, services.node_id))
    return one_node(services, state, services.node_id);
  json::object interfaces;
  for (const auto& interface : services.configuration.interfaces)
  {
    interfaces[interface.listen.name] = interface.as_configured;
    if (!interface.published_address.empty())
      interfaces[interface.listen.name].get_object()["published_address"] = interface.published_address;
  }
  const json::object record{{"rpc_interfaces", std::move(interfaces)}, {"status", "Pending"}};
  return answer(node_object(state, services.node_id, record, std::nullopt));
}

Response primary_node(const Services& services, ReadTransaction& state)
{
  const auto primary = primary_id(services, state);
  return primary ? one_node(services, state, *primary) : unknown_primary();
}

bool publishes(
    const json::object& record, const std::optional<std::string>& host, const std::optional<std::string>& port)
{
  const auto* const interfaces = record.if_contains("rpc_interfaces");
  if (!interfaces || !interfaces->is_object())
    return false;
  return std::ranges::any_of(
      interfaces->get_object(),
      [&](const auto& interface)
      {
        if (!interface.value().is_object())
          return false;
        const auto address = string_member(interface.value().get_object(), "published_address");
        const auto colon = address.rfind(':');
        return (!host || address.substr(0, colon) == *host) && (!port || address.substr(colon + 1) == *port);
      });
}

/// Nodes whose records are as wanted.
template <typename Wanted> Response list_nodes(const Services& services, ReadTransaction& state, const Wanted& wanted)
{
  const auto primary = primary_id(services, state);
  json::array nodes;
  for (const auto cursor = state.scan(tables::node_info); cursor->next();)
  {
    const std::string id(cursor->key());
    const auto record = node_record_of(state, id);
    if (record && wanted(*record))
      nodes.push_back(node_object(state, id, *record, primary));
  }
  return answer(json::object{{"nodes", std::move(nodes)}});
}

Response find_nodes(const Services& services, Context& context)
{
  const auto& request = context.request();
  const auto host = request.parameter("host");
  const auto port = request.parameter("port");
  const auto status = request.parameter("status");
  if (status && *status != "Pending" && *status != "Trusted" && *status != "Retired")
    return Response::error(400, "InvalidQueryParameterValue", "status must be Pending, Trusted or Retired");
  return list_nodes(
      services, *context.state(),
      [&](const json::object& record)
      {
        return (!status || string_member(record, "status") == *status) &&
               ((!host && !port) || publishes(record, host, port));
      });
}

bool is_removable(const json::object& record)
{
  const auto* const noted = record.if_contains("retired_committed");
  return string_member(record, "status") == "Retired" && noted && noted->is_bool() && noted->get_bool();
}

/// http-api.md §6.4
Response forget_node(const Services& services, Context& context)
{
  auto agreed = committed(services);
  const auto done = delete_node(context.transaction(), agreed, context.path_parameter("node_id"));
  if (done)
    return answer(true);
  return done.error().code == ErrorCode::not_found
           ? not_found("There is no such node")
           : Response::error(400, "NodeNotRetiredCommitted", "The node cannot be deleted: " + done.error().message);
}

Response note_retirements(const Services& services, Context& context)
{
  auto agreed = committed(services);
  note_retired_committed(context.transaction(), agreed);
  return Response::empty(204);
}

/// http-api.md §6.5: a load balancer follows to the primary.
Response head_primary(const Services& services, const Context& context)
{
  if (services.ordering.can_write())
    return Response::empty(200);
  auto state = committed(services);
  const auto primary = primary_id(services, state);
  const auto* const session = session_of(context);
  const auto address = primary && *primary != services.node_id && session
                         ? published_address(state, *primary, session->interface)
                         : std::nullopt;
  if (!address)
    return unknown_primary();
  auto response = Response::empty(308);
  response.headers.emplace_back("location", "https://" + *address + "/node/primary");
  return response;
}

bool is_backup(const Services& services)
{
  if (services.ordering.can_write())
    return false;
  const auto agreement = services.ordering.agreement();
  return agreement.leader != 0 && agreement.leader != agreement.self;
}

// ---- consensus

/// Nodes by their number in consensus, this one among them whatever the tables say.
std::map<consensus::EngineId, std::string>
numbers(const Services& services, const consensus::Agreement& agreement, ReadTransaction& state)
{
  auto nodes = node_ids(state);
  nodes.emplace(agreement.self, services.node_id);
  return nodes;
}

/// Those of `ids` that the tables know, with their addresses between nodes.
json::object addresses(
    const Services& services, ReadTransaction& state, const std::map<consensus::EngineId, std::string>& nodes,
    const std::vector<consensus::EngineId>& ids)
{
  json::object out;
  for (const auto id : ids)
  {
    const auto node = nodes.find(id);
    if (node == nodes.end())
      continue;
    const auto record = node_record_of(state, node->second);
    const auto* const interface = record ? record->if_contains("node_to_node_interface") : nullptr;
    auto address =
        interface && interface->is_object() ? string_member(interface->get_object(), "published_address") : "";
    if (address.empty() && node->second == services.node_id)
      address = services.node_to_node_address;
    out[node->second] = json::object{{"address", std::move(address)}};
  }
  return out;
}

Response agreeing_nodes(const Services& services)
{
  auto state = committed(services);
  const auto agreement = services.ordering.agreement();
  const auto& all = agreement.configuration;
  auto ids = all.voters;
  for (const auto* const more : {&all.learners, &all.voters_outgoing})
    ids.insert(ids.end(), more->begin(), more->end());
  return answer(addresses(services, state, numbers(services, agreement, state), ids));
}

std::string_view leadership(const Services& services, const consensus::Agreement& agreement)
{
  if (services.ordering.can_write() || (agreement.leader != 0 && agreement.leader == agreement.self))
    return services.ordering.can_write() ? "Leader" : "None";
  if (agreement.leader != 0)
    return "Follower";
  return agreement.configuration.voters.size() > 1 ? "Candidate" : "None";
}

/// http-api.md §6.7
Response consensus_details(const Services& services)
{
  auto state = committed(services);
  const auto agreement = services.ordering.agreement();
  const auto& configuration = agreement.configuration;
  const auto nodes = numbers(services, agreement, state);
  const bool leads = services.ordering.can_write();

  json::object acks;
  for (const auto& other : agreement.progress)
    if (const auto node = nodes.find(other.id); node != nodes.end())
    {
      const auto heard = services.last_heard ? services.last_heard(node->second) : std::nullopt;
      acks[node->second] = json::object{
          {"last_received_ms", heard ? json::value(heard->count()) : json::value()}, {"seqno", other.seqno}};
    }
  const auto shown = [&](const std::vector<consensus::EngineId>& ids)
  {
    auto addressed = addresses(services, state, nodes, ids);
    Seqno newest = 1;
    for (const auto& one : addressed)
      newest = std::max(newest, state.version(tables::node_info, one.key()).value_or(0));
    return json::object{{"idx", newest}, {"nodes", std::move(addressed)}, {"rid", 0}};
  };
  json::array configs{shown(configuration.voters)};
  if (configuration.joint())
    configs.insert(configs.begin(), shown(configuration.voters_outgoing));

  json::object details{
      {"acks", std::move(acks)},
      {"configs", std::move(configs)},
      {"current_view", agreement.view},
      {"leadership_state", leadership(services, agreement)},
      {"membership_state", "Active"},
      {"primary_id", or_null(leads || is_backup(services) ? primary_id(services, state) : std::nullopt)},
      {"ticking", true}};
  if (!configuration.learners.empty())
    details["learners"] = addresses(services, state, nodes, configuration.learners);
  if (const auto record = node_record_of(state, services.node_id);
      record && string_member(*record, "status") == "Retired")
  {
    details["membership_state"] = "Retired";
    details["retirement_phase"] = is_removable(*record) ? "RetiredCommitted" : "Completed";
  }
  return answer(json::object{{"details", std::move(details)}});
}
}

std::vector<Endpoint> network_endpoints(Services& services)
{
  std::vector<Endpoint> out;
  const auto add = [&out](
                       std::string method, std::string path, Mode mode, std::optional<Forwarding> forwarding,
                       Handler handler, json::object openapi) -> Endpoint&
  {
    out.push_back(json_endpoint(std::move(method), std::move(path), mode, std::move(handler), std::move(openapi)));
    out.back().forwarding = forwarding;
    return out.back();
  };
  const auto usual = std::nullopt;
  const auto here = Forwarding::never;

  add(
      "GET", "/network", Mode::read_only, usual, [&](Context& context) { return network(services, *context.state()); },
      described("The service and its primary"));
  add(
      "GET", "/network/nodes", Mode::read_only, usual, [&](Context& context) { return find_nodes(services, context); },
      described(
          "The nodes of the network",
          {query_parameter("host", false), query_parameter("port", false), query_parameter("status", false)}));
  add(
      "GET", "/network/nodes/{node_id}", Mode::read_only, usual, [&](Context& context)
      { return one_node(services, *context.state(), context.path_parameter("node_id")); }, described("One node"));
  add(
      "DELETE", "/network/nodes/{node_id}", Mode::read_write, usual, [&](Context& context)
      { return forget_node(services, context); }, described("Delete the record of a node that has been retired"));
  add(
      "GET", "/network/nodes/self", Mode::read_only, here,
      [&](Context& context) { return own_node(services, *context.state()); }, described("This node"));
  add(
      "GET", "/network/nodes/primary", Mode::read_only, usual,
      [&](Context& context) { return primary_node(services, *context.state()); }, described("The primary"));
  add(
      "GET", "/network/removable_nodes", Mode::read_only, usual,
      [&](Context& context) { return list_nodes(services, *context.state(), is_removable); },
      described("Nodes that may be shut down and deleted"));

  auto& noting =
      add("POST", "/network/nodes/set_retired_committed", Mode::read_write, usual,
          [&](Context& context) { return note_retirements(services, context); }, {});
  noting.policies = {AuthPolicy::node_cert};
  noting.hidden = true;

  add(
      "GET", "/primary", Mode::command, here, [&](Context&)
      { return services.ordering.can_write() ? Response::empty(200) : not_found("This node is not primary"); },
      described("200 if this node is primary"));
  add(
      "HEAD", "/primary", Mode::command, here, [&](Context& context) { return head_primary(services, context); },
      described("200 if this node is primary"))
      .hidden = true;
  add(
      "GET", "/backup", Mode::command, here,
      [&](Context&) { return is_backup(services) ? Response::empty(200) : not_found("This node is not a backup"); },
      described("200 if this node is a backup"));
  add(
      "GET", "/config", Mode::command, here, [&](Context&) { return agreeing_nodes(services); },
      described("The nodes that agree"));
  add(
      "GET", "/consensus", Mode::command, here, [&](Context&) { return consensus_details(services); },
      described("The state of consensus"));
  return out;
}
}
