#include "http/server.h"

#include "base/check.h"
#include "base/descriptors.h"
#include "base/thread.h"
#include "base/worker_pool.h"
#include "http/acceptor.h"
#include "http/interface_state.h"
#include "http/tls.h"
#include "http/worker.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>

namespace concordat::http
{
namespace
{
/// Of an interface that is worth opening.
constexpr std::uint64_t fewest_descriptors = 16;

/// Fine enough for the shortest time limit, coarse enough to cost nothing.
std::chrono::milliseconds tick_length(const std::vector<Interface>& interfaces)
{
  std::uint64_t shortest = 2000;
  for (const auto& interface : interfaces)
  {
    const auto& limits = interface.limits;
    for (const auto limit :
         {limits.handshake_timeout_ms, limits.idle_timeout_ms, limits.request_timeout_ms, limits.answer_timeout_ms,
          limits.answer_rate_period_ms, limits.piece_timeout_ms})
      shortest = limit > 0 ? std::min(shortest, limit) : shortest;
  }
  return std::chrono::milliseconds(std::clamp<std::uint64_t>(shortest / 4, 10, 500));
}

/// Open files that connections leave to others.
std::uint64_t kept_back(const Server::Options& options)
{
  constexpr std::uint64_t usual = 256;
  return options.descriptors_kept_back > 0 ? options.descriptors_kept_back
                                           : std::min(usual, base::descriptor_limit() / 2);
}

base::WorkerPool::Options stream_pool(const Server::Options& options)
{
  // Each stream has one job at most, so their number is bounded by that of connections.
  base::WorkerPool::Options pool;
  pool.name = "stream";
  pool.niceness = base::least_urgent;
  pool.threads = std::max(1U, options.stream_threads);
  pool.max_jobs = std::numeric_limits<std::uint32_t>::max();
  return pool;
}

class ThreadedServer final : public Server
{
public:
  ThreadedServer(const Options& options, ExchangeHandler handler)
      : handler_(std::move(handler)),
        streams_(stream_pool(options))
  {
  }

  ~ThreadedServer() override
  {
    // No connection may be handed to a worker that has stopped, and no stream be begun that nobody would end.
    if (accept_thread_.joinable())
    {
      boost::asio::post(
          accept_io_,
          [this]
          {
            for (const auto& acceptor : acceptors_)
              acceptor->close();
            accept_io_.stop();
          });
      accept_thread_.join();
    }
    for (const auto& worker : workers_)
      worker->stop();
    streams_.stop();
  }

  Result<void> start(const Options& options)
  {
    const auto threads = options.threads > 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i)
      workers_.push_back(std::make_unique<Worker>(handler_, tick_length(options.interfaces), streams_));
    const auto others = kept_back(options);
    const auto limit = base::descriptor_limit();
    const auto share = (limit - std::min(limit, others)) / std::max<std::size_t>(options.interfaces.size(), 1);
    for (const auto& interface : options.interfaces)
    {
      if (find(interface.name) != nullptr)
        return fail(ErrorCode::invalid, "there are two interfaces named '" + interface.name + "'");
      if (share < fewest_descriptors)
        return fail(
            ErrorCode::io, "the process may have " + std::to_string(limit) + " open files, which leaves " +
                               std::to_string(share) + " to the connections of interface '" + interface.name +
                               "'; raise the limit (ulimit -n, LimitNOFILE)");
      interfaces_.push_back(std::make_shared<InterfaceState>(interface, share, options.is_known));
      acceptors_.push_back(std::make_shared<Acceptor>(accept_io_, interfaces_.back(), workers_, others));
      if (auto listening = acceptors_.back()->listen(interface.bind_address); !listening)
        return listening;
    }
    for (const auto& acceptor : acceptors_)
      acceptor->start();
    for (unsigned i = 0; i < threads; ++i)
      workers_[i]->start("io-" + std::to_string(i));
    accept_thread_ = base::start_thread(
        "accept",
        [this]
        {
          const auto guard = boost::asio::make_work_guard(accept_io_);
          accept_io_.run();
        });
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
      const auto counts = state->counts();
      one.active = counts.active;
      one.peak = counts.peak;
      one.soft_cap = state->limits.max_open_sessions_soft;
      one.hard_cap = state->limits.max_open_sessions_hard;
      one.parsing_errors = state->parsing_errors;
      one.payload_too_large = state->payload_too_large;
      one.header_too_large = state->header_too_large;
      one.streams = counts.streams;
      one.streams_refused = state->streams_refused;
      one.streams_broken_off = state->streams_broken_off;
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
  base::WorkerPool streams_;
  std::vector<std::shared_ptr<InterfaceState>> interfaces_;
  std::vector<std::unique_ptr<Worker>> workers_;
  boost::asio::io_context accept_io_{1};
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  std::thread accept_thread_;
};
}

Result<std::unique_ptr<Server>> Server::start(const Options& options, ExchangeHandler handler)
{
  CHECK(handler != nullptr, "a server without a handler has nothing to say");
  auto server = std::make_unique<ThreadedServer>(options, std::move(handler));
  if (auto started = server->start(options); !started)
    return std::unexpected(started.error());
  return server;
}
}
