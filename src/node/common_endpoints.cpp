#include "node/common_endpoints.h"

#include "ledger/receipt.h"
#include "node/accept.h"
#include "node/dispatcher.h"
#include "node/json.h"
#include "node/openapi.h"

#include <boost/json.hpp>

#include <charconv>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

std::optional<std::uint64_t> parse_number(std::string_view text)
{
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

Response bad_query(int status, std::string_view message)
{
  return Response::error(status, "InvalidQueryParameterValue", message);
}

/// http-api.md §5.1
Response commit(const Services& services, const Request& request)
{
  const auto wants_history = request.parameter("view_history");
  if (wants_history && *wants_history != "true" && *wants_history != "false")
    return bad_query(400, "view_history must be true or false");
  const auto views = services.ordering.views();
  std::optional<View> since;
  if (wants_history == "true")
    since = 1;
  else if (!wants_history)
    if (const auto text = request.parameter("view_history_since"))
      since = parse_number(*text);
  if (since == 0U)
    return bad_query(400, "view_history_since must be 1 or more");
  if (since && *since > services.ordering.view())
    return bad_query(404, "view_history_since is above the current view");

  json::object body{{"transaction_id", services.ordering.committed().to_string()}};
  json::array history;
  if (since)
    for (View view = *since; view <= views.last(); ++view)
      history.push_back(json::string(TxId{view, views.starts()[view - 1]}.to_string()));
  if (!history.empty())
    body["view_history"] = std::move(history);
  return answer(body);
}

/// http-api.md §5.2
Response status(const Services& services, const Request& request)
{
  const auto text = request.parameter("transaction_id");
  const auto id = text ? TxId::parse(*text) : std::nullopt;
  if (!id)
    return bad_query(400, "transaction_id must be given as <view>.<seqno>");
  return answer(json::object{
      {"status", consensus::to_string(services.ordering.status(*id))}, {"transaction_id", id->to_string()}});
}

/// http-api.md §5.3, §2.9
Response receipt(const Services& services, const Request& request)
{
  using consensus::TxStatus;
  const auto text = request.parameter("transaction_id");
  const auto id = text ? TxId::parse(*text) : std::nullopt;
  if (!id)
    return Response::error(404, "TransactionInvalid", "transaction_id must be given as <view>.<seqno>");
  const auto known = services.ordering.status(*id);
  if (known != TxStatus::committed)
  {
    const auto message = "Only committed transactions can be queried. Transaction " + id->to_string() + " is " +
                         std::string(consensus::to_string(known));
    if (known == TxStatus::invalid)
      return Response::error(404, "TransactionInvalid", message);
    auto response = Response::error(404, "TransactionPendingOrUnknown", message);
    response.headers.emplace_back("cache-control", "no-cache");
    return response;
  }
  const auto covering = services.ordering.signature_covering(id->seqno);
  const auto failed = [](const Error& error)
  { return Response::error(500, "InternalError", "The receipt cannot be made: " + error.describe()); };
  if (!covering)
    return failed(covering.error());
  if (!*covering)
    return failed(Error{ErrorCode::internal, "no signature covers the transaction", nullptr});
  const auto bytes = services.ordering.read(id->seqno);
  if (!bytes)
    return failed(bytes.error());
  const auto signature_bytes = services.ordering.read(**covering);
  if (!signature_bytes)
    return failed(signature_bytes.error());
  const auto entry = ledger::parse_entry(*bytes);
  if (!entry)
    return failed(entry.error());
  const auto signature = ledger::parse_entry(*signature_bytes);
  if (!signature)
    return failed(signature.error());
  const auto made = ledger::make_receipt(*entry, *signature, services.ledger_secrets.at(id->seqno));
  if (!made)
    return failed(made.error());
  return Response::json(made->to_json());
}
}

Response answer(const json::value& body)
{
  return Response::json(to_canonical_json(body));
}

json::object query_parameter(std::string_view name, bool required)
{
  return {{"in", "query"}, {"name", name}, {"required", required}, {"schema", {{"type", "string"}}}};
}

json::object described(std::string_view summary, json::array parameters)
{
  json::object out{{"summary", summary}};
  if (!parameters.empty())
    out["parameters"] = std::move(parameters);
  return out;
}

Endpoint json_endpoint(std::string method, std::string path, Mode mode, Handler handler, json::object openapi)
{
  Endpoint endpoint;
  endpoint.method = std::move(method);
  endpoint.path = std::move(path);
  endpoint.mode = mode;
  endpoint.place = Place::io_thread;
  endpoint.openapi = std::move(openapi);
  endpoint.handler = [handler = std::move(handler)](Context& context)
  {
    if (const auto accept = find_header(context.request().headers, "accept"))
      switch (accepts_json(*accept))
      {
      case Acceptance::malformed:
        return Response::error(400, "InvalidHeaderValue", "The accept header is not a list of media types");
      case Acceptance::refused:
        return Response::error(406, "UnsupportedContentType", "This endpoint answers application/json only");
      case Acceptance::accepted:
        break;
      }
    return handler(context);
  };
  return endpoint;
}

Endpoint on_pool(Endpoint endpoint)
{
  endpoint.place = Place::pool;
  return endpoint;
}

std::vector<Endpoint> common_endpoints(Services& services, const Frontend& frontend)
{
  std::vector<Endpoint> out;
  out.push_back(json_endpoint(
      "GET", "/commit", Mode::command, [&services](Context& context) { return commit(services, context.request()); },
      described(
          "The last committed transaction",
          {query_parameter("view_history", false), query_parameter("view_history_since", false)})));
  out.push_back(json_endpoint(
      "GET", "/tx", Mode::command, [&services](Context& context) { return status(services, context.request()); },
      described("What is known of a transaction", {query_parameter("transaction_id", true)})));
  out.push_back(on_pool(json_endpoint(
      "GET", "/receipt", Mode::command, [&services](Context& context) { return receipt(services, context.request()); },
      described(
          "The proof that a committed transaction is in the ledger", {query_parameter("transaction_id", true)}))));
  out.push_back(on_pool(json_endpoint(
      "GET", "/api", Mode::command,
      [&frontend](Context& context)
      {
        if (frontend.prefix == "/gov" && context.request().parameter("api-version"))
          return Response::error(400, "UnsupportedApiVersionValue", "This release has no dated governance interface");
        return answer(api_description(frontend.prefix, frontend.info, frontend.endpoints));
      },
      described("This description"))));
  return out;
}
}
