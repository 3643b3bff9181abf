#pragma once

#include "base/mutex.h"
#include "consensus/ordering.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace concordat::consensus
{
/// Reads that wait until the other nodes have said that this one still leads: one round for all who have come since the
/// last one began, as an answer is of use only to who asked before.
///
/// `asks_others` and `ask` may be called from any thread, the rest belongs to the consensus thread.
class ReadRounds
{
public:
  using Done = Ordering::Done;

  /// This node leads others, whom reads have to ask.
  bool asks_others() const
  {
    return asks_others_.load(std::memory_order_acquire);
  }
  /// @return false if this node leads nobody; `done` is left as it was then
  bool ask(Done& done) EXCLUDES(mutex_);

  /// This node leads others from now on, or no longer does.
  void set_asks_others(bool asks)
  {
    asks_others_.store(asks, std::memory_order_release);
  }
  /// Begins a round if somebody waits for one and none is under way. @return its token
  std::optional<std::uint64_t> next() EXCLUDES(mutex_);
  /// The others have answered a round, or will not. @pre `token` is of the round that is under way
  void answer(std::uint64_t token, const Result<void>& outcome);
  /// Nobody will ask for those who wait for a round, and nobody else gets in.
  void refuse(const Error& why) EXCLUDES(mutex_);

private:
  std::optional<std::uint64_t> under_way_;
  std::vector<Done> asked_; ///< that wait for its answer
  std::uint64_t last_token_ = 0;

  std::atomic<bool> asks_others_{false}; ///< looked at again under mutex_
  base::Mutex mutex_;
  std::vector<Done> waiting_ GUARDED_BY(mutex_); ///< for the next round
};
}
