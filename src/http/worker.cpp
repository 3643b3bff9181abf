#include "http/worker.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/thread.h"
#include "http/connection.h"
#include "http/exchange.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace concordat::http
{
Worker::Worker(const ExchangeHandler& handler, std::chrono::milliseconds tick, base::Executor& streams)
    : handler_(handler),
      streams_(streams),
      tick_length_(tick),
      mailbox_(std::make_shared<Mailbox>([this] { boost::asio::post(io_, [this] { deliver(); }); }))
{
}

Worker::~Worker()
{
  CHECK(!thread_.joinable(), "the server stops its workers before it lets them go");
}

void Worker::start(const std::string& name)
{
  tick();
  thread_ = base::start_thread(
      name,
      [this]
      {
        const auto guard = boost::asio::make_work_guard(io_);
        io_.run();
      });
}

void Worker::stop()
{
  mailbox_->close();
  if (thread_.joinable())
  {
    boost::asio::post(
        io_,
        [this]
        {
          for (const auto& [id, connection] : std::exchange(connections_, {}))
            connection->close();
          io_.stop();
        });
    thread_.join();
  }
}

void Worker::adopt(Accepted accepted)
{
  boost::asio::post(
      io_,
      [this, accepted = std::move(accepted)]() mutable
      {
        const auto identity = accepted.slot.shared_interface()->identity();
        // Others may have crowded it out on its way here.
        if (!identity || accepted.handshake.is_evicted())
          return;
        const auto connection = std::make_shared<Connection>(*this, std::move(accepted), identity);
        connections_.emplace(connection->id(), connection);
        connection->start();
      });
}

void Worker::forget(std::uint64_t connection)
{
  connections_.erase(connection);
}

void Worker::send_soon(std::shared_ptr<Connection> connection)
{
  sending_soon_.push_back(std::move(connection));
  if (sending_soon_.size() == 1)
    boost::asio::post(
        io_,
        [this]
        {
          for (const auto& one : std::exchange(sending_soon_, {}))
            one->send();
        });
}

std::optional<Mailbox::Answer> Worker::call_handler(std::shared_ptr<PendingExchange> exchange)
{
  handling_.store(true, std::memory_order_relaxed);
  auto answer = PendingExchange::run(handler_, std::move(exchange));
  handling_.store(false, std::memory_order_relaxed);
  return answer;
}

void Worker::deliver()
{
  auto content = mailbox_->take();
  const auto find = [this](std::uint64_t id)
  {
    const auto found = connections_.find(id);
    return found != connections_.end() ? found->second : nullptr;
  };
  for (auto& answer : content.answers)
    if (const auto connection = find(answer.connection))
      connection->answer(std::move(answer));
  for (const auto& task : content.tasks)
  {
    handling_.store(true, std::memory_order_relaxed);
    auto answer = task();
    handling_.store(false, std::memory_order_relaxed);
    if (answer)
      if (const auto connection = find(answer->connection))
        connection->answer(std::move(*answer));
  }
  for (const auto id : content.nudged)
    if (const auto connection = find(id))
      connection->nudge();
}

void Worker::tick()
{
  timer_.expires_after(tick_length_);
  timer_.async_wait(
      [this](const boost::system::error_code& ec)
      {
        if (ec)
          return;
        const auto now = std::chrono::steady_clock::now();
        // A connection that closes leaves the table.
        std::vector<std::shared_ptr<Connection>> all;
        all.reserve(connections_.size());
        for (const auto& [id, connection] : connections_)
          all.push_back(connection);
        for (const auto& connection : all)
          connection->check_time(now);
        all.clear();
        if (std::exchange(much_was_dropped_, false))
          base::return_free_memory();
        tick();
      });
}
}
