#include "peer/send_queue.h"

#include "base/check.h"

#include <utility>

namespace concordat::peer
{
namespace
{
/// Of each message in memory, beside its bytes: many small ones must not cost more than few large ones.
constexpr std::uint64_t overhead = 128;

std::uint64_t cost(const SendQueue::Message& message)
{
  return message.payload.size() + overhead;
}
}

SendQueue::SendQueue(Lane lane, std::uint64_t limit, std::uint64_t offline)
    : lane_(lane),
      limit_(limit),
      offline_(offline)
{
}

SendQueue::Pushed SendQueue::push(Message message)
{
  const base::LockGuard lock(mutex_);
  const auto size = cost(message);
  if (size > limit_ || (lane_ == Lane::bulk && bytes_ + size > limit_))
    return {};
  Pushed pushed{true, std::exchange(idle_, false), 0};
  bytes_ += size;
  waiting_.push_back(std::move(message));
  if (lane_ == Lane::urgent)
    pushed.dropped = make_room(online_ ? limit_ : offline_);
  return pushed;
}

std::optional<SendQueue::Message> SendQueue::take()
{
  const base::LockGuard lock(mutex_);
  CHECK(!leaving_, "one message is sent at a time");
  idle_ = waiting_.empty();
  if (idle_)
    return std::nullopt;
  leaving_ = std::move(waiting_.front());
  waiting_.pop_front();
  return leaving_;
}

void SendQueue::left()
{
  const base::LockGuard lock(mutex_);
  CHECK(leaving_, "what leaves was taken before");
  bytes_ -= cost(*leaving_);
  leaving_.reset();
}

std::uint64_t SendQueue::interrupt()
{
  const base::LockGuard lock(mutex_);
  online_ = false;
  idle_ = false;
  if (leaving_)
    waiting_.push_front(std::move(*leaving_));
  leaving_.reset();
  return lane_ == Lane::urgent ? make_room(offline_) : 0;
}

void SendQueue::resume()
{
  const base::LockGuard lock(mutex_);
  online_ = true;
}

std::uint64_t SendQueue::bytes() const
{
  const base::LockGuard lock(mutex_);
  return bytes_;
}

/// The newest stays, however little room there is.
std::uint64_t SendQueue::make_room(std::uint64_t limit)
{
  std::uint64_t dropped = 0;
  while (bytes_ > limit && waiting_.size() > 1)
  {
    bytes_ -= cost(waiting_.front());
    waiting_.pop_front();
    ++dropped;
  }
  return dropped;
}
}
