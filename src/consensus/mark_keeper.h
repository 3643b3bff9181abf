#pragma once

#include "base/clock.h"
#include "base/worker_pool.h"
#include "consensus/durable_state.h"
#include "consensus/invariants.h"
#include "consensus/replica.h"

#include <atomic>
#include <chrono>

namespace concordat::consensus
{
/// Seals how far was committed, from time to time and where that matters. Only what is durable is ever in it, and it
/// lags: nobody waits for it. Belongs to the consensus thread.
class MarkKeeper
{
public:
  /// @param interval    at least so often, while something is committed
  /// @param aside       does it; stopped before this goes. Null: it is done here
  /// @param invariants  null: not checked
  MarkKeeper(
      Replica& replica, const base::Clock& clock, std::chrono::milliseconds interval, base::Executor* aside,
      Invariants* invariants);

  /// What is committed ends with this batch. @param index  of it
  void committed(const Mark& mark, Index index)
  {
    mark_ = mark;
    index_ = index;
  }
  /// With the next batch it is sealed at once: that is the first of a view.
  void seal_next()
  {
    due_ = true;
  }
  /// A batch is committed. @param now  seals it at once
  void keep_committed(bool now);
  /// Seals if the interval has passed.
  void keep();
  /// Nothing more is committed. @param seals  the last mark, after any other and before this returns
  void finish(bool seals);

private:
  void keep(bool now);
  void seal(const Mark& mark, Index index);
  void end_sealing();

  Replica& replica_;
  const base::Clock& clock_;
  const std::chrono::milliseconds interval_;
  base::Executor* const aside_;
  Invariants* const invariants_;

  bool due_ = false; ///< with the next batch, as it was asked for or missed
  Mark mark_;        ///< of the last batch
  Index index_ = 0;
  std::chrono::steady_clock::time_point next_;
  std::atomic<bool> sealing_{false}; ///< aside
};
}
