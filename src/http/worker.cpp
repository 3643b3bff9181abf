#include "http/worker.h"

#include "base/check.h"
#include "base/log.h"
#include "http/connection.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace concordat::http
{
Worker::Worker(const ExchangeHandler& handler, std::chrono::milliseconds tick)
    : handler_(handler),
      tick_length_(tick),
      mailbox_(std::make_shared<Mailbox>([this] { boost::asio::post(io_, [this] { deliver(); }); }))
{
}

Worker::~Worker()
{
  CHECK(!thread_.joinable(), "the server stops its workers before it lets them go");
}

void Worker::start()
{
  tick();
  thread_ = std::thread(
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

void Worker::adopt(Socket socket, SessionSlot slot)
{
  boost::asio::post(
      io_,
      [this, socket = std::move(socket), slot = std::move(slot)]() mutable
      {
        const auto identity = slot.shared_interface()->identity();
        if (!identity)
          return;
        const auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(slot), identity);
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

void Worker::deliver()
{
  for (auto& answer : mailbox_->take())
  {
    const auto found = connections_.find(answer.connection);
    if (found == connections_.end())
      continue;
    const auto connection = found->second;
    connection->answer(std::move(answer));
  }
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
        tick();
      });
}
}
