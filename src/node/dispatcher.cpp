#include "node/dispatcher.h"

#include "base/check.h"
#include "base/log.h"
#include "node/callers.h"
#include "node/common_endpoints.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::node
{
namespace
{
constexpr unsigned max_attempts = 30;
constexpr std::string_view respond_header = "x-concordat-respond";
constexpr std::string_view txid_header = "x-ms-ccf-transaction-id";

Response unauthenticated(boost::json::array details)
{
  const boost::json::object body{
      {"error",
       {{"code", "InvalidAuthenticationInfo"},
        {"details", std::move(details)},
        {"message", "The caller could not be authenticated by any policy of this endpoint"}}}};
  return Response::json(to_canonical_json(body), 401);
}

Response unknown_verb(const http::Router::Match& match, std::string_view method)
{
  std::string allow = "OPTIONS";
  for (const auto& known : match.methods)
    allow += ", " + std::string(known);
  auto response =
      method == "OPTIONS"
          ? Response::empty(204)
          : Response::error(405, "UnsupportedHttpVerb", "This path does not know the verb " + std::string(method));
  response.headers.emplace_back("allow", std::move(allow));
  return response;
}

Response session_lost(View started, View now)
{
  return Response::error(
      500, "SessionConsistencyLost",
      "This session started in view " + std::to_string(started) + " and the node is now in view " +
          std::to_string(now) + ", so earlier writes of the session may be lost. The session is closed.");
}

Response refused(const Error& error)
{
  return error.code == ErrorCode::limit ? Response::error(503, "TooManyPendingTransactions", error.describe())
                                        : Response::error(503, "TransactionReplicationFailed", error.describe());
}
}

/// One request on its way through the pipeline.
struct Dispatcher::Run : Context
{
  std::shared_ptr<http::Exchange> exchange;
  const Endpoint* endpoint = nullptr;
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  Caller who;
  std::shared_ptr<ReadTransaction> reads;
  kv::WriteTransaction* writes = nullptr;
  std::shared_ptr<const void> kept_of_handler;

  const Request& request() const override
  {
    return exchange->request();
  }
  const Caller& caller() const override
  {
    return who;
  }
  std::string_view path_parameter(std::string_view name) const override
  {
    for (const auto& [known, value] : parameters)
      if (known == name)
        return value;
    return {};
  }
  std::shared_ptr<ReadTransaction> state() override
  {
    CHECK(reads, "a command endpoint has no state");
    return reads;
  }
  Transaction& transaction() override
  {
    CHECK(writes, "only a read_write endpoint has a transaction");
    return *writes;
  }

  std::shared_ptr<const void>& kept() override
  {
    return kept_of_handler;
  }

  /// @param committed seqno of that state if it is a committed one
  Response call(ReadTransaction& state_for_caller, std::optional<Seqno> committed, std::int64_t unix_seconds)
  {
    auto response = authenticate_and_handle(state_for_caller, committed, unix_seconds);
    if (endpoint->observer)
      endpoint->observer(response);
    return response;
  }

private:
  /// What a library throws becomes an answer.
  Response
  authenticate_and_handle(ReadTransaction& state_for_caller, std::optional<Seqno> committed, std::int64_t unix_seconds)
  {
    boost::json::array details;
    auto found =
        authenticate(endpoint->policies, exchange->session(), state_for_caller, committed, unix_seconds, details);
    if (!found)
      return unauthenticated(std::move(details));
    who = std::move(*found);
    try
    {
      return endpoint->handler(*this);
    }
    catch (const std::exception& thrown)
    {
      spdlog::error("a handler of {} failed: {}", endpoint->path, thrown.what());
      return Response::error(500, "InternalError", "The endpoint failed");
    }
  }
};

Dispatcher::Dispatcher(Services& services, std::vector<Frontend> frontends) : services_(services)
{
  frontends_.reserve(frontends.size()); // endpoints refer to their frontend
  for (auto& frontend : frontends)
  {
    auto& installed = frontends_.emplace_back();
    installed.frontend = std::move(frontend);
    auto common = common_endpoints(services_, installed.frontend);
    auto& endpoints = installed.frontend.endpoints;
    endpoints.insert(endpoints.end(), std::make_move_iterator(common.begin()), std::make_move_iterator(common.end()));
    for (std::size_t i = 0; i < endpoints.size(); ++i)
      installed.router.add(endpoints[i].method, endpoints[i].path, i);
  }
  for (const auto& installed : frontends_)
    if (installed.frontend.prefix == "/app")
      app_ = &installed;
  CHECK(app_, "there is always an application");
  for (const auto& interface : services_.configuration.interfaces)
    if (interface.accepted_endpoints)
    {
      accepted_.push_back({interface.listen.name, {}});
      for (const auto& expression : *interface.accepted_endpoints)
        accepted_.back().expressions.emplace_back(expression);
    }
}

const Dispatcher::Installed& Dispatcher::frontend_of(std::string_view path, std::string_view& rest) const
{
  for (const auto& installed : frontends_)
  {
    const auto& prefix = installed.frontend.prefix;
    if (path.size() > prefix.size() && path.starts_with(prefix) && path[prefix.size()] == '/')
    {
      rest = path.substr(prefix.size());
      return installed;
    }
  }
  rest = path;
  return *app_;
}

bool Dispatcher::accepted(const http::Session& session, const std::string& endpoint) const
{
  const auto rule = std::find_if(
      accepted_.begin(), accepted_.end(), [&](const Accepted& one) { return one.interface == session.interface; });
  return rule == accepted_.end() ||
         std::any_of(
             rule->expressions.begin(), rule->expressions.end(),
             [&](const std::regex& expression) { return std::regex_match(endpoint, expression); });
}

void Dispatcher::handle(const std::shared_ptr<http::Exchange>& exchange) const
{
  const auto& request = exchange->request();
  auto& session = exchange->session();
  std::string_view path;
  const auto& installed = frontend_of(request.path, path);

  const auto bound = services_.configuration.max_uncommitted;
  if (bound != 0 && installed.frontend.prefix != "/node" && services_.ordering.waiting() >= bound)
    return exchange->respond(Response::error(
        503, "TooManyPendingTransactions", "Too many transactions wait for agreement; try again later"));
  if (!installed.frontend.open())
    return exchange->respond(Response::error(404, "FrontendNotOpen", "The frontend is not open"));

  auto match = installed.router.find(request.method, path);
  using Kind = http::Router::Match::Kind;
  if (match.kind == Kind::unknown_path)
    return exchange->respond(
        Response::error(404, "ResourceNotFound", "There is no endpoint " + std::string(path.substr(0, 512))));
  if (match.kind == Kind::other_verb)
    return exchange->respond(unknown_verb(match, request.method));
  if (match.kind == Kind::ambiguous)
    return exchange->respond(Response::error(500, "InternalError", "More than one endpoint fits this path"), true);

  const auto& endpoint = installed.frontend.endpoints[match.index];
  if (!accepted_.empty() && !accepted(session, installed.frontend.prefix + endpoint.path))
    return exchange->respond(Response::empty(503));

  const auto view = services_.ordering.view();
  std::uint64_t started = 0;
  if (!session.first_view.compare_exchange_strong(started, view) && started != view)
    return exchange->respond(session_lost(started, view), true);

  Run run;
  run.exchange = exchange;
  run.endpoint = &endpoint;
  run.parameters = std::move(match.parameters);
  switch (endpoint.mode)
  {
  case Mode::command:
    return run_command(run);
  case Mode::read_only:
    return run_read(run);
  case Mode::read_write:
    return run_write(run);
  }
}

void Dispatcher::run_command(Run& run) const
{
  kv::SnapshotTransaction state(services_.store.committed());
  run.exchange->respond(run.call(state, state.base()->seqno(), services_.clock.unix_seconds()));
}

void Dispatcher::run_read(Run& run) const
{
  const auto state = std::make_shared<kv::SnapshotTransaction>(services_.store.committed());
  run.reads = state;
  auto response = run.call(*state, state->base()->seqno(), services_.clock.unix_seconds());
  if (response.ok() && state->touched())
    response.headers.emplace_back(txid_header, state->base()->txid().to_string());
  run.exchange->respond(std::move(response));
}

void Dispatcher::run_write(Run& run) const
{
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt)
  {
    // The handler's view of the state may be kept no longer than the transaction: an alias that owns nothing.
    const auto transaction = attempt == 0 ? services_.store.begin() : services_.store.begin_fresh();
    run.writes = transaction.get();
    run.reads = std::shared_ptr<ReadTransaction>(std::shared_ptr<void>(), transaction.get());
    auto response = run.call(*transaction, std::nullopt, services_.clock.unix_seconds());
    if (!response.ok())
      return run.exchange->respond(std::move(response));

    if (transaction->writes().empty())
    {
      const auto txid = transaction->base()->txid();
      if (transaction->touched())
        response.headers.emplace_back(txid_header, txid.to_string());
      const auto exchange = run.exchange;
      services_.ordering.when_committed(
          txid, [exchange, answer = std::make_shared<Response>(std::move(response))](const Result<void>& outcome)
          { exchange->respond(outcome ? std::move(*answer) : refused(outcome.error())); });
      return;
    }

    const auto early = find_header(run.exchange->request().headers, respond_header) == "executed";
    const auto answer = std::make_shared<Response>(std::move(response));
    consensus::Ordering::Done done;
    if (!early)
      done = [exchange = run.exchange, answer](const Result<void>& outcome)
      { exchange->respond(outcome ? std::move(*answer) : refused(outcome.error())); };
    const auto txid = services_.ordering.submit(
        *transaction, [answer](TxId id) { answer->headers.emplace_back(txid_header, id.to_string()); },
        std::move(done));
    if (!txid && txid.error().code == ErrorCode::conflict)
      continue;
    if (!txid)
      return run.exchange->respond(refused(txid.error()));
    if (early)
      run.exchange->respond(std::move(*answer));
    return;
  }
  auto response = Response::error(
      503, "TransactionCommitAttemptsExceedLimit", "Other transactions kept changing what this one reads; try again");
  response.headers.emplace_back("retry-after", "3");
  run.exchange->respond(std::move(response));
}
}
