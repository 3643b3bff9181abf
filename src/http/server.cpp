#include "http/server.h"

#include "base/check.h"
#include "http/acceptor.h"
#include "http/interface_state.h"
#include "http/tls.h"
#include "http/worker.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <latch>
#include <thread>

namespace concordat::http
{
namespace
{
/// Fine enough for the shortest time limit, coarse enough to cost nothing.
std::chrono::milliseconds tick_length(const std::vector<Interface>& interfaces)
{
  std::uint64_t shortest = 2000;
  for (const auto& interface : interfaces)
  {
    for (const auto limit : {interface.limits.idle_timeout_ms, interface.limits.request_timeout_ms})
      shortest = limit > 0 ? std::min(shortest, limit) : shortest;
  }
  return std::chrono::milliseconds(std::clamp<std::uint64_t>(shortest / 4, 10, 500));
}

class ThreadedServer final : public Server
{
public:
  explicit ThreadedServer(ExchangeHandler handler) : handler_(std::move(handler)) {}

  ~ThreadedServer() override
  {
    if (running_ && !acceptors_.empty())
    {
      // No connection may be handed to a worker that has stopped.
      std::latch closed(1);
      boost::asio::post(
          workers_.front()->io(),
          [&]
          {
            for (const auto& acceptor : acceptors_)
              acceptor->close();
            closed.count_down();
          });
      closed.wait();
    }
    for (const auto& worker : workers_)
      worker->stop();
  }

  Result<void> start(const Options& options)
  {
    const auto threads = options.threads > 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i)
      workers_.push_back(std::make_unique<Worker>(handler_, tick_length(options.interfaces)));
    for (const auto& interface : options.interfaces)
    {
      if (find(interface.name) != nullptr)
        return fail(ErrorCode::invalid, "there are two interfaces named '" + interface.name + "'");
      interfaces_.push_back(std::make_shared<InterfaceState>(interface));
      acceptors_.push_back(std::make_shared<Acceptor>(interfaces_.back(), workers_));
      if (auto listening = acceptors_.back()->listen(interface.bind_address); !listening)
        return listening;
    }
    for (const auto& acceptor : acceptors_)
      acceptor->start();
    for (const auto& worker : workers_)
      worker->start();
    running_ = true;
    return {};
  }

  Result<void> set_identity(const std::string& interface, const TlsIdentity& identity) override
  {
    InterfaceState* const state = find(interface);
    if (state == nullptr)
      return fail(ErrorCode::not_found, "there is no interface named '" + interface + "'");
    auto context = make_server_context(identity);
    if (!context)
      return fail("cannot use the TLS identity of interface '" + interface + "'", context.error());
    state->set_identity(std::move(*context));
    return {};
  }

  std::string address(const std::string& interface) const override
  {
    const InterfaceState* const state = find(interface);
    return state != nullptr ? state->address : std::string();
  }

  std::vector<InterfaceMetrics> metrics() const override
  {
    std::vector<InterfaceMetrics> all;
    for (const auto& state : interfaces_)
    {
      InterfaceMetrics one;
      one.name = state->name;
      one.active = state->active;
      one.peak = state->peak;
      one.soft_cap = state->limits.max_open_sessions_soft;
      one.hard_cap = state->limits.max_open_sessions_hard;
      one.parsing_errors = state->parsing_errors;
      one.payload_too_large = state->payload_too_large;
      one.header_too_large = state->header_too_large;
      all.push_back(std::move(one));
    }
    return all;
  }

private:
  InterfaceState* find(const std::string& name) const
  {
    const auto found =
        std::find_if(interfaces_.begin(), interfaces_.end(), [&](const auto& state) { return state->name == name; });
    return found != interfaces_.end() ? found->get() : nullptr;
  }

  ExchangeHandler handler_;
  std::vector<std::shared_ptr<InterfaceState>> interfaces_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  bool running_ = false;
};
}

Result<std::unique_ptr<Server>> Server::start(const Options& options, ExchangeHandler handler)
{
  CHECK(handler != nullptr, "a server without a handler has nothing to say");
  auto server = std::make_unique<ThreadedServer>(std::move(handler));
  if (auto started = server->start(options); !started)
    return std::unexpected(started.error());
  return server;
}
}
