#include "peer/incoming.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace concordat::peer
{
namespace
{
/// Of plaintext, before other connections have their turn.
constexpr std::size_t turn_size = std::size_t{64} << 10;
/// Each message costs memory beside its bytes.
constexpr std::uint64_t overhead = 128;
}

Incoming::Incoming(LaneLoop& lane, Greeted greeted, std::shared_ptr<Account> account)
    : lane_(lane),
      wire_(std::move(greeted.wire)),
      node_(std::move(greeted.node)),
      account_(std::move(account)),
      reader_(lane.limits().message_limit),
      last_heard_(lane.now())
{
}

void Incoming::start()
{
  // Called under the account's lock, on any thread, so it must not be the last to hold this.
  freed_ = [weak = weak_from_this(), &io = lane_.io()]
  {
    boost::asio::post(
        io,
        [weak]
        {
          const auto self = weak.lock();
          if (self && !self->closed_)
            self->read_turn();
        });
  };
  read_turn();
}

void Incoming::close()
{
  if (std::exchange(closed_, true))
    return;
  const auto self = shared_from_this();
  account_->forget();
  wire_->close();
  lane_.forget(self);
}

void Incoming::end(Refusal reason)
{
  if (!closed_)
    lane_.refused(node_, reason);
  close();
}

void Incoming::check_time(std::chrono::steady_clock::time_point now)
{
  // Who is not listened to cannot be reproached with silence.
  if (paused_)
    last_heard_ = now;
  if (now - last_heard_ > lane_.options().silence_limit)
    end(Refusal::time);
}

void Incoming::wait()
{
  wire_->when_readable(
      [self = shared_from_this()]
      {
        if (!self->closed_)
          self->read_turn();
      });
}

void Incoming::read_turn()
{
  for (std::size_t turn = 0; turn < turn_size;)
  {
    paused_ = account_->wait_if_full(freed_);
    if (paused_)
      return;
    std::size_t size = 0;
    const auto status = wire_->read(lane_.decrypted.data(), lane_.decrypted.size(), size);
    if (status == Wire::Status::wait)
      return wait();
    if (status != Wire::Status::ok)
      return close();
    last_heard_ = lane_.now();
    turn += size;
    const auto fed = reader_.feed(
        {lane_.decrypted.data(), size},
        [this](std::uint16_t kind, std::string bytes) { deliver(kind, std::move(bytes)); });
    if (closed_)
      return;
    if (!fed)
      return end(Refusal::frames);
  }
  boost::asio::post(
      lane_.io(),
      [self = shared_from_this()]
      {
        if (!self->closed_)
          self->read_turn();
      });
}

void Incoming::deliver(std::uint16_t kind, std::string bytes)
{
  auto account = account_->add(bytes.size() + overhead);
  lane_.deliver({node_, lane_.lane(), kind, std::move(bytes), std::move(account)});
}
}
