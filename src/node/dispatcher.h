#pragma once

#include "concordat/application.h"
#include "http/router.h"
#include "http/server.h"
#include "node/services.h"
#include "node/state_waiters.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::node
{
class RequestRun;

/// A set of endpoints under one prefix.
struct Frontend
{
  std::string prefix; ///< "/app", "/gov" or "/node"
  ApiInfo info;
  std::vector<Endpoint> endpoints;
  std::function<bool()> open;
  kv::RunBy runs_by = kv::RunBy::application; ///< whose rights its endpoints have
};

/// Takes each request through the checks of http-api.md §2.1 and has it run: at once, or on the pool if its endpoint or
/// the size of its body says so.
///
/// `handle` is called from several threads at once, each the thread of the request's connection.
class Dispatcher
{
public:
  /// @param frontends app, gov and node in any order; adds the endpoints common to all (http-api.md §5) to each
  Dispatcher(Services& services, std::vector<Frontend> frontends);

  void handle(const std::shared_ptr<http::Exchange>& exchange) const;

  /// A request that another node has handed on to this one, which it takes for primary in `view`. It runs here or
  /// nowhere (http-api.md §2.6). Called on threads of the channel between nodes: it runs on the pool.
  void handle_forwarded(const std::shared_ptr<http::Exchange>& exchange, View view) const;

  /// Lets requests go on that wait for what was committed, or for long enough: to be called after each commit and from
  /// time to time. Any thread may call.
  void look() const
  {
    waiters_->look();
  }

private:
  struct Installed
  {
    Frontend frontend;
    http::Router router;
  };
  /// The endpoint of a request.
  struct Target
  {
    const Installed& installed;
    const Endpoint& endpoint;
    std::vector<std::pair<std::string_view, std::string_view>> parameters;
  };
  const Installed& frontend_of(std::string_view path, std::string_view& rest) const;
  std::optional<Target> target_of(const std::shared_ptr<http::Exchange>& exchange) const;
  const RpcInterface* interface_of(const http::Session& session) const;
  bool is_for_another(const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint, View view) const;
  bool accepted(const http::Session& session, const std::string& endpoint) const;
  static http::Router::Match find(const http::Router& router, std::string_view method, std::string_view path);
  void begin(
      const std::shared_ptr<RequestRun>& run, const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint,
      bool here) const;
  void begin_fresh(
      const std::shared_ptr<RequestRun>& run, const std::shared_ptr<http::Exchange>& exchange, const Endpoint& endpoint,
      bool here) const;
  void queue(const std::shared_ptr<RequestRun>& run, std::uint64_t body_size) const;

  Services& services_;
  std::unique_ptr<StateWaiters> waiters_;
  std::vector<Installed> frontends_;
  const Installed* app_ = nullptr;
  struct Accepted
  {
    std::string interface;
    std::vector<std::regex> expressions;
  };
  std::vector<Accepted> accepted_;
  bool redirects_ = false; ///< on any interface
};
}
