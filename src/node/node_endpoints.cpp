#include "node/node_endpoints.h"

#include "base/encoding.h"
#include "ledger/entry.h"
#include "node/common_endpoints.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/version.h"

#include <boost/json.hpp>

#include <malloc.h>
#include <sys/resource.h>

#include <charconv>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

Response not_found(std::string_view message)
{
  return Response::error(404, "ResourceNotFound", message);
}

Response state(const Services& services)
{
  const bool created = services.ordering.committed().seqno != 0;
  return answer(json::object{
      {"last_signed_seqno", services.ordering.committed().seqno},
      {"node_id", services.node_id},
      {"startup_seqno", 0},
      {"state", created ? "PartOfNetwork" : "Initialized"},
      {"stop_notice", services.stop_notice.load()}});
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
      {"primary_id", services.node_id},
      {"recovery_count", recoveries ? *recoveries : json::value(0)},
      {"service_certificate", member("cert")},
      {"service_data", member("service_data")},
      {"service_status", member("status")}});
}

/// http-api.md §6.3
json::object
node_object(const Services& services, ReadTransaction& state, std::string_view id, const json::object& record)
{
  const auto* const data = record.if_contains("node_data");
  const auto* const interfaces = record.if_contains("rpc_interfaces");
  return {
      {"last_written", state.version(tables::node_info, id).value_or(0)},
      {"node_data", data ? *data : json::value()},
      {"node_id", id},
      {"primary", id == services.node_id},
      {"rpc_interfaces", interfaces ? *interfaces : json::object{}},
      {"status", string_member(record, "status")}};
}

Response one_node(const Services& services, ReadTransaction& state, std::string_view id)
{
  const auto record = read_object(state, tables::node_info, id);
  return record ? answer(node_object(services, state, id, *record)) : not_found("There is no such node");
}

bool publishes(
    const json::object& record, const std::optional<std::string>& host, const std::optional<std::string>& port)
{
  const auto* const interfaces = record.if_contains("rpc_interfaces");
  if (!interfaces || !interfaces->is_object())
    return false;
  for (const auto& interface : interfaces->get_object())
  {
    const auto address = string_member(interface.value().get_object(), "published_address");
    const auto colon = address.rfind(':');
    if ((!host || address.substr(0, colon) == *host) && (!port || address.substr(colon + 1) == *port))
      return true;
  }
  return false;
}

Response list_nodes(const Services& services, Context& context)
{
  const auto& request = context.request();
  const auto host = request.parameter("host");
  const auto port = request.parameter("port");
  const auto status = request.parameter("status");
  if (status && *status != "Pending" && *status != "Trusted" && *status != "Retired")
    return Response::error(400, "InvalidQueryParameterValue", "status must be Pending, Trusted or Retired");
  const auto state = context.state();
  json::array nodes;
  for (const auto cursor = state->scan(tables::node_info); cursor->next();)
  {
    const std::string id(cursor->key());
    const auto record = read_object(*state, tables::node_info, id);
    if (!record || (status && string_member(*record, "status") != *status))
      continue;
    if ((host || port) && !publishes(*record, host, port))
      continue;
    nodes.push_back(node_object(services, *state, id, *record));
  }
  return answer(json::object{{"nodes", std::move(nodes)}});
}

/// http-api.md §6.4: nothing retires a node in a network of one.
Response removable_nodes(Context& context)
{
  const auto state = context.state();
  (void)state->has(tables::node_info, "");
  return answer(json::object{{"nodes", json::array{}}});
}

Response delete_node(Context& context)
{
  if (!context.transaction().has(tables::node_info, context.path_parameter("node_id")))
    return not_found("There is no such node");
  return Response::error(400, "NodeNotRetiredCommitted", "The node has not been retired");
}

std::optional<json::object> quote_object(ReadTransaction& state, std::string_view id)
{
  const auto record = read_object(state, tables::node_info, id);
  const auto* const quote = record ? record->if_contains("quote_info") : nullptr;
  if (!quote || !quote->is_object())
    return std::nullopt;
  const auto& info = quote->get_object();
  return json::object{
      {"endorsements", string_member(info, "endorsements")},
      {"format", string_member(info, "format")},
      {"measurement", string_member(*record, "code_digest")},
      {"node_id", id},
      {"raw", string_member(info, "quote")}};
}

Response own_quote(const Services& services, ReadTransaction& state)
{
  const auto quote = quote_object(state, services.node_id);
  return quote ? answer(*quote) : not_found("This node has no record yet");
}

Response all_quotes(ReadTransaction& state, std::string_view name)
{
  json::array quotes;
  for (const auto cursor = state.scan(tables::node_info); cursor->next();)
  {
    const std::string id(cursor->key());
    const auto record = read_object(state, tables::node_info, id);
    if (record && string_member(*record, "status") == "Trusted")
      if (auto quote = quote_object(state, id))
        quotes.push_back(std::move(*quote));
  }
  return answer(json::object{{std::string(name), std::move(quotes)}});
}

Response consensus_details(const Services& services)
{
  const json::object nodes{{services.node_id, {{"address", services.node_to_node_address}}}};
  const bool leads = services.ordering.can_write();
  return answer(json::object{
      {"details",
       {{"acks", json::object{}},
        {"configs", json::array{json::object{{"idx", 1}, {"nodes", nodes}, {"rid", 0}}}},
        {"current_view", services.ordering.view()},
        {"leadership_state", leads ? "Leader" : "None"},
        {"membership_state", "Active"},
        {"primary_id", leads ? json::value(services.node_id) : json::value()},
        {"ticking", true}}}});
}

Response memory()
{
  const auto heap = mallinfo2();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const std::uint64_t allocated = heap.uordblks + heap.hblkhd;
  return answer(json::object{
      {"current_allocated_heap_size", allocated},
      {"max_total_heap_size", heap.arena + heap.hblkhd},
      {"peak_allocated_heap_size", static_cast<std::uint64_t>(usage.ru_maxrss) * 1024}});
}

Response metrics(const Services& services)
{
  std::uint64_t active = 0;
  std::uint64_t peak = 0;
  json::object interfaces;
  for (const auto& one : services.metrics())
  {
    active += one.active;
    peak += one.peak;
    interfaces[one.name] = {
        {"active", one.active},
        {"errors",
         {{"parsing", one.parsing_errors},
          {"request_header_too_large", one.header_too_large},
          {"request_payload_too_large", one.payload_too_large}}},
        {"hard_cap", one.hard_cap},
        {"peak", one.peak},
        {"soft_cap", one.soft_cap},
        {"streams",
         {{"active", one.streams}, {"broken_off", one.streams_broken_off}, {"refused", one.streams_refused}}}};
  }
  return answer(
      json::object{{"sessions", {{"active", active}, {"interfaces", std::move(interfaces)}, {"peak", peak}}}});
}

/// A network of one admits nobody; what is wrong with a request is still said first (http-api.md §6.11).
Response join(const Request& request)
{
  const auto body = parse_json(request.body);
  const auto invalid = [](const std::string& message) { return Response::error(400, "InvalidInput", message); };
  if (!body)
    return invalid(body.error().describe());
  const auto* const object = body->if_object();
  if (!object)
    return invalid("The body must be a JSON object");
  for (const auto* const name : {"node_info_network", "quote_info"})
    if (const auto* const found = object->if_contains(name); !found || !found->is_object())
      return invalid("/" + std::string(name) + " must be an object");
  if (string_member(*object, "public_encryption_key").empty())
    return invalid("/public_encryption_key must be a text");
  return Response::error(501, "NotImplemented", "This release runs networks of one node");
}

Endpoint hidden(Endpoint endpoint)
{
  endpoint.hidden = true;
  return endpoint;
}

Endpoint for_nodes(Endpoint endpoint)
{
  endpoint.policies = {AuthPolicy::node_cert};
  endpoint.hidden = true;
  return endpoint;
}

Response ready(bool holds)
{
  return Response::empty(holds ? 204 : 503);
}
}

bool is_open(ReadTransaction& state)
{
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  return service && string_member(*service, "status") == "Open";
}

bool OpenFlag::operator()(const kv::Snapshot& committed)
{
  const auto seqno = committed->seqno();
  const auto known = known_.load(std::memory_order_relaxed);
  if (known >> 1 == seqno)
    return (known & 1) != 0;
  kv::SnapshotTransaction state(committed);
  const bool open = is_open(state);
  known_.store(seqno << 1 | (open ? 1 : 0), std::memory_order_relaxed);
  return open;
}

std::vector<Endpoint> node_endpoints(Services& services)
{
  std::vector<Endpoint> out;
  const auto add = [&out](std::string path, Mode mode, Handler handler, std::string_view summary)
  { out.push_back(json_endpoint("GET", std::move(path), mode, std::move(handler), described(summary))); };

  add("/state", Mode::command, [&](Context&) { return state(services); }, "The state of this node");
  add(
      "/network", Mode::read_only, [&](Context& context) { return network(services, *context.state()); },
      "The service and its primary");
  out.push_back(json_endpoint(
      "GET", "/network/nodes", Mode::read_only, [&](Context& context) { return list_nodes(services, context); },
      described(
          "The nodes of the network",
          {query_parameter("host", false), query_parameter("port", false), query_parameter("status", false)})));
  add(
      "/network/nodes/{node_id}", Mode::read_only, [&](Context& context)
      { return one_node(services, *context.state(), context.path_parameter("node_id")); }, "One node");
  out.push_back(json_endpoint(
      "DELETE", "/network/nodes/{node_id}", Mode::read_write, [](Context& context) { return delete_node(context); },
      described("Delete the record of a node that has been retired")));
  for (const auto* const path : {"/network/nodes/self", "/network/nodes/primary"})
    add(
        path, Mode::read_only, [&](Context& context) { return one_node(services, *context.state(), services.node_id); },
        "This node, which is the primary");
  add(
      "/network/removable_nodes", Mode::read_only, [](Context& context) { return removable_nodes(context); },
      "Nodes that may be shut down and deleted");
  add(
      "/self_signed_certificate", Mode::command,
      [&](Context&) { return answer(json::object{{"self_signed_certificate", services.self_signed_certificate_pem}}); },
      "The node's self-signed certificate");

  add("/primary", Mode::command, [](Context&) { return Response::empty(200); }, "200 if this node is primary");
  out.push_back(hidden(json_endpoint(
      "HEAD", "/primary", Mode::command, [](Context&) { return Response::empty(200); },
      described("200 if this node is primary"))));
  add(
      "/backup", Mode::command, [](Context&) { return not_found("This node is not a backup"); },
      "200 if this node is a backup");

  for (const auto& [path, name] : {std::pair{"/quotes", "quotes"}, std::pair{"/attestations", "attestations"}})
  {
    add(
        path, Mode::read_only, [name](Context& context) { return all_quotes(*context.state(), name); },
        "Evidence of all trusted nodes");
    add(
        std::string(path) + "/self", Mode::read_only,
        [&](Context& context) { return own_quote(services, *context.state()); }, "Evidence of this node");
  }
  add(
      "/version", Mode::command,
      [](Context&)
      {
        return answer(json::object{
            {"ccf_version", "concordat-" + std::string(version)}, {"quickjs_version", ""}, {"unsafe", false}});
      },
      "The version of this node");
  add(
      "/config", Mode::command,
      [&](Context&) { return answer(json::object{{services.node_id, {{"address", services.node_to_node_address}}}}); },
      "The nodes that agree");
  add("/consensus", Mode::command, [&](Context&) { return consensus_details(services); }, "The state of consensus");
  add("/memory", Mode::command, [](Context&) { return memory(); }, "Memory in use");
  add("/metrics", Mode::command, [&](Context&) { return metrics(services); }, "Sessions and refused requests");
  add(
      "/js_metrics", Mode::command,
      [](Context&)
      {
        return answer(json::object{
            {"bytecode_size", 0},
            {"bytecode_used", false},
            {"max_cached_interpreters", 0},
            {"max_execution_time", 0},
            {"max_heap_size", 0},
            {"max_stack_size", 0}});
      },
      "Limits of the JavaScript runtime, all 0 as there is none");
  add(
      "/jwt_keys/refresh/metrics", Mode::command,
      [&](Context&)
      {
        const auto attempts = services.token_refresh_attempts.load();
        const auto failures = services.token_refresh_failures.load();
        return answer(json::object{{"attempts", attempts}, {"failures", failures}, {"successes", attempts - failures}});
      },
      "Refreshes of token keys");
  add(
      "/service/configuration", Mode::read_only,
      [](Context& context)
      {
        const auto config = context.state()->get(tables::service_config, ledger::single_key);
        return config ? Response::json(std::string(*config)) : Response::empty(204);
      },
      "The service's configuration");
  add(
      "/service/previous_identity", Mode::read_only,
      [](Context& context)
      {
        const auto identity = context.state()->get(tables::previous_service_identity, ledger::single_key);
        return identity ? Response::json("{\"previous_service_identity\":" + std::string(*identity) + "}")
                        : not_found("The service has not been recovered");
      },
      "The identity of the service before its last recovery");
  add("/index/strategies", Mode::command, [](Context&) { return answer(json::array{}); }, "Indexes of the application");
  add(
      "/ready/app", Mode::read_only, [&](Context& context)
      { return ready(!services.stop_notice && is_open(*context.state())); }, "204 if applications can be used");
  add(
      "/ready/gov", Mode::command,
      [&](Context&) { return ready(!services.stop_notice && services.ordering.committed().seqno != 0); },
      "204 if governance can be used");

  for (const auto* const method : {"GET", "HEAD"})
  {
    out.push_back(hidden(json_endpoint(
        method, "/snapshot", Mode::command, [](Context&) { return not_found("There is no snapshot"); }, {})));
    out.push_back(hidden(json_endpoint(
        method, "/snapshot/{snapshot_name}", Mode::command,
        [](Context&) { return not_found("There is no such snapshot"); }, {})));
  }
  out.push_back(hidden(
      json_endpoint("POST", "/join", Mode::command, [](Context& context) { return join(context.request()); }, {})));
  out.push_back(hidden(json_endpoint(
      "POST", "/create", Mode::command,
      [](Context&) { return Response::error(403, "InternalError", "The service exists already"); }, {})));
  out.push_back(for_nodes(json_endpoint(
      "POST", "/network/nodes/set_retired_committed", Mode::read_only, [](Context&) { return Response::empty(204); },
      {})));
  auto refresh = for_nodes(json_endpoint(
      "POST", "/jwt_keys/refresh", Mode::read_only,
      [](Context&) { return Response::error(500, "InternalError", "There is no such issuer"); }, {}));
  refresh.observer = [&](const Response& response)
  {
    services.token_refresh_failures += response.ok() ? 0U : 1U;
    ++services.token_refresh_attempts;
  };
  out.push_back(std::move(refresh));
  return out;
}
}
