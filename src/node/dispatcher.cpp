#include "node/dispatcher.h"

#include "base/check.h"
#include "node/answers.h"
#include "node/common_endpoints.h"
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

http::Router::Match Dispatcher::find(const http::Router& router, std::string_view method, std::string_view path)
{
  auto match = router.find(method, path);
  // A path that answers HEAD in its own way keeps it; everywhere else it is GET without the body.
  if (method == "HEAD" && match.kind == http::Router::Match::Kind::other_verb)
    if (auto get = router.find("GET", path); get.kind != http::Router::Match::Kind::other_verb)
      return get;
  return match;
}

void Dispatcher::handle(const std::shared_ptr<http::Exchange>& exchange) const
{
  const auto& request = exchange->request();
  auto& session = exchange->session();
  std::string_view path;
  const auto& installed = frontend_of(request.path, path);

  const auto bound = services_.configuration.max_uncommitted;
  if (bound != 0 && installed.frontend.prefix != "/node" && services_.ordering.waiting() >= bound)
    return exchange->respond(
        answers::too_many_transactions("Too many transactions wait for agreement; try again later"));
  if (!installed.frontend.open())
    return exchange->respond(Response::error(404, "FrontendNotOpen", "The frontend is not open"));

  auto match = find(installed.router, request.method, path);
  using Kind = http::Router::Match::Kind;
  if (match.kind == Kind::unknown_path)
  {
    // The application's users are told the path that they asked for. The framework's is named without its prefix, as
    // http-api.md §2.2 has it and clients expect.
    const auto named = &installed == app_ ? std::string_view(request.path) : path;
    return exchange->respond(Response::error(
        404, "ResourceNotFound", "There is no endpoint " + std::string(named.substr(0, longest_named_path))));
  }
  if (match.kind == Kind::other_verb)
    return exchange->respond(answers::unknown_verb(match.methods, request.method));
  if (match.kind == Kind::ambiguous)
    return exchange->respond(Response::error(500, "InternalError", "More than one endpoint fits this path"), true);

  const auto& endpoint = installed.frontend.endpoints[match.index];
  if (!accepted_.empty() && !accepted(session, installed.frontend.prefix + endpoint.path))
    return exchange->respond(Response::empty(503));

  const auto view = services_.ordering.view();
  std::uint64_t started = 0;
  if (!session.first_view.compare_exchange_strong(started, view) && started != view)
    return exchange->respond(answers::session_lost(started, view), true);

  const auto run = std::make_shared<RequestRun>(
      services_, endpoint, installed.frontend.runs_by, exchange, std::move(match.parameters), view);
  if (endpoint.place == Place::io_thread && request.body.size() <= services_.configuration.handlers.inline_body_size)
    run->run();
  else
    queue(run, request.body.size());
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
