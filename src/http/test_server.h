#pragma once

#include "base/mutex.h"
#include "http/server.h"
#include "http/test_identity.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace concordat::http::test
{
/// A running server with one interface, `main`, and a fresh certificate.
class TestServer
{
public:
  explicit TestServer(
      ExchangeHandler handler, const Limits& limits = {}, unsigned threads = 2,
      std::function<bool(std::string_view)> is_known = nullptr, unsigned stream_threads = 2)
      : identity(make_identity())
  {
    // Writing to a peer that has gone is an error value in the server, but a signal in the test's own client.
    std::signal(SIGPIPE, SIG_IGN);
    Server::Options options;
    options.interfaces.push_back({"main", "127.0.0.1:0", limits});
    options.threads = threads;
    options.stream_threads = stream_threads;
    options.is_known = std::move(is_known);
    auto started = Server::start(options, std::move(handler));
    EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().describe());
    server = std::move(*started);
    const auto set = server->set_identity("main", {identity.certificate_pem, identity.key_pem});
    EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().describe());
  }

  std::string address() const
  {
    return server->address("main");
  }
  InterfaceMetrics metrics() const
  {
    return server->metrics().front();
  }

  TestIdentity identity;
  std::unique_ptr<Server> server;
};

/// Only what a test sets ends a connection.
inline Limits patient()
{
  constexpr std::uint64_t never = 0;
  Limits limits;
  limits.handshake_timeout_ms = never;
  limits.idle_timeout_ms = never;
  limits.request_timeout_ms = never;
  limits.answer_timeout_ms = never;
  limits.min_answer_rate = 0;
  limits.piece_timeout_ms = never;
  return limits;
}

/// Answers with method, path, query and body, each on a line.
inline void echo(const std::shared_ptr<Exchange>& exchange)
{
  const auto& request = exchange->request();
  exchange->respond(Response::text(request.method + "\n" + request.path + "\n" + request.query + "\n" + request.body));
}

/// Waits for what another thread brings about. @return false if it does not within ten seconds
inline bool eventually(const std::function<bool()>& holds)
{
  for (int i = 0; i < 1000; ++i)
  {
    if (holds())
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

/// Keeps exchanges until the test answers them.
class Shelf
{
public:
  void put(std::shared_ptr<Exchange> exchange)
  {
    const base::LockGuard lock(mutex_);
    exchanges_.push_back(std::move(exchange));
  }
  std::vector<std::shared_ptr<Exchange>> wait_for(std::size_t count)
  {
    EXPECT_TRUE(eventually(
        [&]
        {
          const base::LockGuard lock(mutex_);
          return exchanges_.size() >= count;
        }));
    const base::LockGuard lock(mutex_);
    return std::exchange(exchanges_, {});
  }

private:
  base::Mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> exchanges_ GUARDED_BY(mutex_);
};
}
