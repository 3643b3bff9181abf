#include "node/node_endpoints.h"

#include "base/encoding.h"
#include "ledger/entry.h"
#include "node/common_endpoints.h"
#include "node/json.h"
#include "node/network_endpoints.h"
#include "node/tables.h"
#include "node/version.h"

#include <boost/json.hpp>

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <iterator>

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
      "/self_signed_certificate", Mode::command,
      [&](Context&) { return answer(json::object{{"self_signed_certificate", services.self_signed_certificate_pem}}); },
      "The node's self-signed certificate");

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
  out.push_back(hidden(json_endpoint(
      "POST", "/create", Mode::command,
      [](Context&) { return Response::error(403, "InternalError", "The service exists already"); }, {})));
  // What is about this node alone is answered by it; the others any node knows.
  static constexpr std::string_view of_the_service[] = {
      "/quotes", "/attestations", "/js_metrics", "/jwt_keys/refresh/metrics", "/service/previous_identity"};
  for (auto& endpoint : out)
    if (std::ranges::find(of_the_service, endpoint.path) == std::end(of_the_service))
      endpoint.forwarding = Forwarding::never;
  auto refresh = for_nodes(json_endpoint(
      "POST", "/jwt_keys/refresh", Mode::read_only,
      [](Context&) { return Response::error(500, "InternalError", "There is no such issuer"); }, {}));
  refresh.observer = [&](const Response& response)
  {
    services.token_refresh_failures += response.ok() ? 0U : 1U;
    ++services.token_refresh_attempts;
  };
  refresh.forwarding = Forwarding::always;
  out.push_back(std::move(refresh));
  auto of_the_network = network_endpoints(services);
  out.insert(out.end(), std::make_move_iterator(of_the_network.begin()), std::make_move_iterator(of_the_network.end()));
  return out;
}
}
