#pragma once

#include "base/mutex.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace concordat::peer
{
/// What one node has sent in one lane and nobody has let go of yet. It is the node's and not a connection's: who
/// connects again owes the same. Any thread may call.
class Account : public std::enable_shared_from_this<Account>
{
public:
  explicit Account(std::uint64_t limit) : limit_(limit) {}

  /// Counts bytes until what is returned is destroyed, on any thread.
  std::shared_ptr<const void> add(std::uint64_t bytes) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    held_ += bytes;
    ++messages_;
    return std::make_shared<Entry>(shared_from_this(), bytes);
  }

  /// @param freed  called once, on any thread and under a lock, when it is no longer full, if it is full now
  /// @return whether it is full
  bool wait_if_full(const std::function<void()>& freed) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    if (held_ < limit_)
      return false;
    freed_ = freed;
    return true;
  }
  /// Nobody is told any more: when this returns, no call is under way.
  void forget() EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    freed_ = nullptr;
  }

  std::uint64_t held() const EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    return held_;
  }
  /// All that were ever counted.
  std::uint64_t messages() const EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    return messages_;
  }

private:
  struct Entry
  {
    Entry(std::shared_ptr<Account> counted, std::uint64_t size) : account(std::move(counted)), bytes(size) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry()
    {
      account->remove(bytes);
    }

    std::shared_ptr<Account> account;
    std::uint64_t bytes;
  };

  /// Half of it must be free before more is read, so that a reader does not start and stop with each message.
  void remove(std::uint64_t bytes) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    held_ -= bytes;
    if (freed_ && held_ <= limit_ / 2)
      std::exchange(freed_, nullptr)();
  }

  const std::uint64_t limit_;
  mutable base::Mutex mutex_;
  std::uint64_t held_ GUARDED_BY(mutex_) = 0;
  std::uint64_t messages_ GUARDED_BY(mutex_) = 0;
  std::function<void()> freed_ GUARDED_BY(mutex_);
};
}
