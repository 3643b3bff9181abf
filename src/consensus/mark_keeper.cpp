#include "consensus/mark_keeper.h"

#include "base/log.h"

#include <utility>

namespace concordat::consensus
{
MarkKeeper::MarkKeeper(
    Replica& replica, const base::Clock& clock, std::chrono::milliseconds interval, base::Executor* aside,
    Invariants* invariants)
    : replica_(replica),
      clock_(clock),
      interval_(interval),
      aside_(aside),
      invariants_(invariants)
{
}

void MarkKeeper::keep_committed(bool now)
{
  keep(std::exchange(due_, false) || now);
}

void MarkKeeper::keep()
{
  keep(false);
}

void MarkKeeper::keep(bool now)
{
  if (mark_.txid == TxId{} || (!now && clock_.steady() < next_))
    return;
  // First: what is sealed is locked while it is being written.
  if (sealing_.load(std::memory_order_acquire))
  {
    due_ = due_ || now;
    return;
  }
  if (replica_.durable().mark == mark_)
    return;
  next_ = clock_.steady() + interval_;
  if (!aside_)
    return seal(mark_, index_);
  sealing_.store(true, std::memory_order_relaxed);
  base::Job job;
  job.run = [this, mark = mark_, index = index_]
  {
    seal(mark, index);
    end_sealing();
  };
  job.refuse = [this](base::Refusal) { end_sealing(); };
  if (!aside_->submit(std::move(job)))
  {
    due_ = true;
    end_sealing();
  }
}

void MarkKeeper::finish(bool seals)
{
  sealing_.wait(true, std::memory_order_acquire);
  if (seals && mark_.txid != TxId{} && replica_.durable().mark != mark_)
    seal(mark_, index_);
}

void MarkKeeper::seal(const Mark& mark, Index index)
{
  if (invariants_)
    invariants_->marked(mark.txid);
  if (auto sealed = replica_.seal(mark, index); !sealed)
    spdlog::warn("how far transactions are committed is not sealed for now: {}", sealed.error().describe());
}

void MarkKeeper::end_sealing()
{
  sealing_.store(false, std::memory_order_release);
  sealing_.notify_all();
}
}
