#pragma once

#include "base/worker_pool.h"
#include "http/accepted.h"
#include "http/interface_state.h"
#include "http/mailbox.h"
#include "http/server.h"
#include "net/socket.h"

#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace concordat::http
{
class Connection;
class PendingExchange;

/// One I/O thread and the connections that live on it. A connection is touched by its thread only.
class Worker
{
public:
  /// @param tick  how often the time limits of connections are looked at
  /// @param streams  asks the sources of streamed answers; outlives the worker
  Worker(const ExchangeHandler& handler, std::chrono::milliseconds tick, base::Executor& streams);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start(const std::string& name);
  /// From any other thread: closes the connections, ends the thread and waits for it.
  void stop();
  /// From any thread.
  void adopt(Accepted accepted);
  /// From any thread.
  const std::shared_ptr<Mailbox>& mailbox() const
  {
    return mailbox_;
  }
  /// From any thread: a handler runs on this one, and nobody knows how long.
  bool is_handling() const
  {
    return handling_.load(std::memory_order_relaxed);
  }

  boost::asio::io_context& io()
  {
    return io_;
  }

  // The rest is for connections, on the thread.
  std::optional<Mailbox::Answer> call_handler(std::shared_ptr<PendingExchange> exchange);
  base::Executor& streams()
  {
    return streams_;
  }
  void forget(std::uint64_t connection);
  /// What clients had sent half was much, and is let go of: the next tick gives it back to the system.
  void much_was_dropped()
  {
    much_was_dropped_ = true;
  }
  /// Has the connection send what it has, after everything that can be done now for this and other connections:
  /// answers that leave together wake their clients together.
  void send_soon(std::shared_ptr<Connection> connection);

  /// Room that connections share, because none needs it longer than a call.
  std::array<char, 64 << 10> received;
  std::array<char, 16 << 10> decrypted;
  std::string composed;

private:
  void deliver();
  void tick();

  const ExchangeHandler& handler_;
  base::Executor& streams_;
  std::atomic<bool> handling_{false};
  const std::chrono::milliseconds tick_length_;
  boost::asio::io_context io_{1};
  net::Timer timer_{io_};
  std::shared_ptr<Mailbox> mailbox_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> sending_soon_;
  bool much_was_dropped_ = false;
  std::thread thread_;
};
}
