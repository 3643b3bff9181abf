#include "node/dispatcher.h"

#include "base/check.h"
#include "node/answers.h"
#include "node/common_endpoints.h"
#include "node/forwarder.h"
#include "node/redirection.h"
#include "node/request_run.h"

#include <algorithm>

namespace concordat::node
{
namespace
{
/// What a request holds beside its body, roughly.
constexpr std::uint64_t request_overhead = 4096;
/// Of a path that is unknown, as much is told.
constexpr std::size_t longest_named_path = 512;
}

Dispatcher::Dispatcher(Services& services, std::vector<Frontend> frontends)
    : services_(services),
      waiters_(std::make_unique<StateWaiters>(services.ordering, services.clock))
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
  {
    redirects_ = redirects_ || interface.redirections;
    if (interface.accepted_endpoints)
    {
      accepted_.push_back({interface.listen.name, {}});
      for (const auto& expression : *interface.accepted_endpoints)
        accepted_.back().expressions.emplace_back(expression);
    }
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

http::Router::Match Dispatcher::find(const http::Router& router, std::string_view method, std::string_view path)
{
  auto match = router.find(method, path);
  // A path that answers HEAD in its own way keeps it; everywhere else it is GET without the body.
  if (method == "HEAD" && match.kind == http::Router::Match::Kind::other_verb)
    if (auto get = router.find("GET", path); get.kind != http::Router::Match::Kind::other_verb)
      return get;
  return match;
}

/// Answers itself where there is none.
std::optional<Dispatcher::Target> Dispatcher::target_of(const std::shared_ptr<http::Exchange>& exchange) const
{
  const auto& request = exchange->request();
  std::string_view path;
  const auto& installed = frontend_of(request.path, path);
  const auto answered = [&](Response response, bool close = false)
  {
    exchange->respond(std::move(response), close);
    return std::nullopt;
  };

  const auto bound = services_.configuration.max_uncommitted;
  if (bound != 0 && installed.frontend.prefix != "/node" && services_.ordering.waiting() >= bound)
    return answered(answers::too_many_transactions("Too many transactions wait for agreement; try again later"));
  if (!installed.frontend.open())
    return answered(Response::error(404, "FrontendNotOpen", "The frontend is not open"));

  auto match = find(installed.router, request.method, path);
  using Kind = http::Router::Match::Kind;
  if (match.kind == Kind::unknown_path)
  {
    // The application's users are told the path that they asked for. The framework's is named without its prefix, as
    // http-api.md §2.2 has it and clients expect.
    const auto named = &installed == app_ ? std::string_view(request.path) : path;
    return answered(Response::error(
        404, "ResourceNotFound", "There is no endpoint " + std::string(named.substr(0, longest_named_path))));
  }
  if (match.kind == Kind::other_verb)
    return answered(answers::unknown_verb(match.methods, request.method));
  if (match.kind == Kind::ambiguous)
    return answered(Response::error(500, "InternalError", "More than one endpoint fits this path"), true);
  return Target{installed, installed.frontend.endpoints[match.index], std::move(match.parameters)};
}

void Dispatcher::handle(const std::shared_ptr<http::Exchange>& exchange) const
{
  auto target = target_of(exchange);
  if (!target)
    return;
  const auto& endpoint = target->endpoint;
  auto& session = exchange->session();
  if (!accepted_.empty() && !accepted(session, target->installed.frontend.prefix + endpoint.path))
    return exchange->respond(Response::empty(503));

  const auto view = services_.ordering.view();
  std::uint64_t started = 0;
  if (!session.first_view.compare_exchange_strong(started, view) && started != view)
    return exchange->respond(answers::session_lost(started, view), true);
  if (is_for_another(exchange, endpoint, view))
    return;

  const auto run = std::make_shared<RequestRun>(
      services_, endpoint, target->installed.frontend.runs_by, exchange, std::move(target->parameters), view);
  const auto size = exchange->request().body.size();
  const bool here = endpoint.place == Place::io_thread && size <= services_.configuration.handlers.inline_body_size;
  begin(run, exchange, endpoint, here);
}

/// Has the request run, once this node has what it must not be older than.
void Dispatcher::begin(
    const std::shared_ptr<RequestRun>& run, const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint,
    bool here) const
{
  if (!StateWaiters::concerns(exchange->request()))
    return begin_fresh(run, exchange, endpoint, here);
  const auto* const interface = interface_of(exchange->session());
  waiters_->wait(
      exchange, interface ? interface->forwarding_timeout : RpcInterface().forwarding_timeout,
      [this, run, exchange, &endpoint, here] { begin_fresh(run, exchange, endpoint, here); });
}

/// Has the request run, here or on the pool. What only reads waits until the others have said that this node still
/// leads: they may have gone on without it, and then it would tell of a past that somebody was told the end of.
void Dispatcher::begin_fresh(
    const std::shared_ptr<RequestRun>& run, const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint,
    bool here) const
{
  const auto go_on = [this, run, size = exchange->request().body.size(), here]
  { here ? run->run() : queue(run, size); };
  // Looked at first, so that a read on a node without others is not slowed down by what it would be told.
  if (endpoint.mode != Mode::read_only || !services_.ordering.asks_others())
    return go_on();
  const auto told = [exchange, go_on](const Result<void>& fresh)
  { fresh ? exchange->resume(go_on) : exchange->respond(answers::refused(fresh.error())); };
  if (services_.ordering.when_fresh(told))
    go_on();
}

const RpcInterface* Dispatcher::interface_of(const http::Session& session) const
{
  for (const auto& one : services_.configuration.interfaces)
    if (one.listen.name == session.interface)
      return &one;
  return nullptr;
}

/// Sends what the primary has to answer there, or who asks (http-api.md §2.1 step 6).
bool Dispatcher::is_for_another(
    const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint, View view) const
{
  const auto& session = exchange->session();
  const auto* const redirecting = redirects_ ? interface_of(session) : nullptr;
  const bool redirects = redirecting && redirecting->redirections;
  const auto forwarding = forwarding_of(endpoint);
  const bool concerned =
      redirects ? is_redirected(endpoint)
                : forwarding == Forwarding::always ||
                      (forwarding == Forwarding::sometimes && session.forwarded.load(std::memory_order_relaxed));
  if (!concerned || services_.ordering.can_write())
    return false;
  const auto agreement = services_.ordering.agreement();
  // Alone, or leading and not yet, or not at present, able to write: the order says what the matter is.
  if (agreement.leader == agreement.self || agreement.configuration.voters == std::vector{agreement.self})
    return false;

  if (redirects)
    exchange->respond(redirect_to_primary(services_, *redirecting, exchange->request()));
  else if (!services_.forwarder)
    exchange->respond(Response::error(500, "InternalError", "This node cannot forward requests"));
  else
  {
    const auto* const interface = interface_of(session);
    services_.forwarder->forward(
        exchange, view, interface ? interface->forwarding_timeout : RpcInterface().forwarding_timeout);
  }
  return true;
}

void Dispatcher::handle_forwarded(const std::shared_ptr<http::Exchange>& exchange, View view) const
{
  // Not forwarded again: two nodes that take each other for primary would never end.
  if (!services_.ordering.can_write() || services_.ordering.view() != view)
    return exchange->respond(answers::forwarded_already());
  auto target = target_of(exchange);
  if (!target)
    return;
  if (forwarding_of(target->endpoint) == Forwarding::never)
    return exchange->respond(answers::forwarded_already());
  const auto run = std::make_shared<RequestRun>(
      services_, target->endpoint, target->installed.frontend.runs_by, exchange, std::move(target->parameters), view);
  begin(run, exchange, target->endpoint, false);
}

/// Has the request run on the pool.
void Dispatcher::queue(const std::shared_ptr<RequestRun>& run, std::uint64_t body_size) const
{
  // Whoever no policy lets in does not get as far as the queue.
  auto owner = run->owner();
  if (!owner)
    return;
  base::Job job;
  job.run = [run] { run->run(); };
  job.refuse = [run](base::Refusal why) { run->refuse(why); };
  job.owner = std::move(*owner);
  job.bytes = body_size + request_overhead;
  if (const auto patience = services_.configuration.handlers.deadline; patience.count() != 0)
    job.deadline = services_.clock.steady() + patience;
  if (const auto queued = services_.pool.submit(std::move(job)); !queued)
    run->not_queued(queued.error());
}
}
