#include "peer/outgoing.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace concordat::peer
{
namespace
{
/// Ciphertext beyond this is not made before it is taken.
constexpr std::size_t pending_limit = std::size_t{128} << 10;
/// Of plaintext, before other connections have their turn.
constexpr std::size_t turn_size = std::size_t{256} << 10;
}

Outgoing::Outgoing(LaneLoop& lane, std::shared_ptr<PeerState> peer, Greeted greeted, LaneLoop::Lost lost)
    : lane_(lane),
      peer_(std::move(peer)),
      state_(peer_->lane(lane.lane())),
      wire_(std::move(greeted.wire)),
      lost_(std::move(lost)),
      began_(lane.now()),
      last_sent_(began_),
      sent_(wire_->sent())
{
  wire_->set_records_per_key(lane.options().records_per_key);
  wire_->give_up_after(lane.limits().unacknowledged_limit);
  state_.version.store(greeted.version, std::memory_order_relaxed);
}

void Outgoing::start()
{
  state_.connected.store(true, std::memory_order_relaxed);
  state_.connections.fetch_add(1, std::memory_order_relaxed);
  state_.queue.resume();
  listen();
  if (!closed_)
    send_turn();
}

void Outgoing::close()
{
  if (std::exchange(closed_, true))
    return;
  const auto self = shared_from_this();
  state_.connected.store(false, std::memory_order_relaxed);
  state_.dropped.fetch_add(state_.queue.interrupt(), std::memory_order_relaxed);
  wire_->close();
  lane_.forget(self);
  lost_(lane_.now() - began_);
}

/// The other side says nothing here, but ends the connection; it may have done so before this began.
void Outgoing::listen()
{
  char byte = 0;
  std::size_t size = 0;
  if (wire_->read(&byte, 1, size) != Wire::Status::wait)
    return close();
  wire_->when_readable(
      [self = shared_from_this()]
      {
        if (!self->closed_)
          self->listen();
      });
}

void Outgoing::wake()
{
  if (!sending_ && !closed_)
    send_turn();
}

void Outgoing::check_time(std::chrono::steady_clock::time_point now)
{
  if (wire_->pending() > 0)
  {
    if (now - last_sent_ > lane_.options().silence_limit)
    {
      lane_.refused(peer_->id, Refusal::time);
      close();
    }
    return;
  }
  if (now - last_sent_ < lane_.options().alive_interval || sending_)
    return;
  if (!wire_->write(alive_frame()))
    return close();
  send_turn();
  state_.alive.fetch_add(1, std::memory_order_relaxed);
}

/// Makes the next frames ready. @return false if there are none
bool Outgoing::compose()
{
  auto& frames = lane_.composed;
  frames.clear();
  while (frames.size() < frame_limit)
  {
    if (!message_)
    {
      auto next = state_.queue.take();
      if (!next)
        break;
      message_.emplace(next->kind, std::move(next->payload));
    }
    message_->append_to(frames);
    if (!message_->done())
      continue;
    message_.reset();
    state_.queue.left();
    state_.sent.fetch_add(1, std::memory_order_relaxed);
  }
  return !frames.empty();
}

void Outgoing::send_turn()
{
  sending_ = false;
  std::size_t turn = 0;
  bool more = true;
  while (more && turn < turn_size)
  {
    while (more && turn < turn_size && wire_->pending() < pending_limit)
    {
      more = compose();
      turn += lane_.composed.size();
      if (!wire_->write(lane_.composed))
        return close();
    }
    const auto status = wire_->flush();
    if (status == Wire::Status::failed)
      return close();
    if (std::exchange(sent_, wire_->sent()) != wire_->sent())
      last_sent_ = lane_.now();
    if (status == Wire::Status::wait)
    {
      sending_ = true;
      return wire_->when_writable(again());
    }
  }
  state_.keys_renewed.store(wire_->keys_renewed(), std::memory_order_relaxed);
  if (!more)
    return;
  sending_ = true;
  boost::asio::post(lane_.io(), again());
}

std::function<void()> Outgoing::again()
{
  return [self = shared_from_this()]
  {
    if (!self->closed_)
      self->send_turn();
  };
}
}
