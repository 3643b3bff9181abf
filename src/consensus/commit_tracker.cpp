#include "consensus/commit_tracker.h"

#include "base/log.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace concordat::consensus
{
namespace
{
void tell(const Ordering::Done& done, const Result<void>& outcome)
{
  try
  {
    done(outcome);
  }
  catch (const std::exception& thrown)
  {
    spdlog::error("an answer that waited for its state failed: {}", thrown.what());
  }
}
}

CommitTracker::CommitTracker(
    const kv::Store& store, ViewHistory views, const std::vector<Seqno>& signatures, Invariants* invariants)
    : store_(store),
      invariants_(invariants),
      blocked_(Error{ErrorCode::unavailable, "no view has been opened yet", nullptr}),
      views_(std::move(views)),
      signatures_(signatures)
{
  if (const auto newest = signatures_.newest())
    committed_ = {views_.view_of(*newest), *newest};
}

void CommitTracker::blocked(const Error& why)
{
  {
    const base::LockGuard lock(mutex_);
    blocked_ = why;
  }
  settle_barriers();
}

void CommitTracker::view_begun(View view)
{
  const base::LockGuard lock(mutex_);
  views_.truncate(committed_.seqno);
  views_.begin(view, committed_.seqno + 1);
  view_.store(view, std::memory_order_release);
  blocked_.reset();
}

void CommitTracker::follows(View view)
{
  const base::LockGuard lock(mutex_);
  view_.store(std::max(view, view_.load(std::memory_order_relaxed)), std::memory_order_release);
}

void CommitTracker::holds(std::vector<Held> held)
{
  const base::LockGuard lock(mutex_);
  held_ = std::move(held);
}

void CommitTracker::committed(const Batch& batch)
{
  {
    const base::LockGuard lock(mutex_);
    // Views of other primaries begin with what is committed of them.
    if (batch.signature_txid.view > views_.last())
      views_.begin(batch.signature_txid.view, batch.descriptor.first);
    committed_ = batch.signature_txid;
    signatures_.add(batch.signature_txid.seqno);
  }
  for (const auto& transaction : batch.transactions)
  {
    if (invariants_)
      invariants_->acknowledged(transaction->txid);
    transaction->settle({});
  }
  settle_barriers();
}

/// What can be said of a transaction now; nothing if that has to be waited for.
std::optional<Result<void>> CommitTracker::known_outcome(TxId id) const
{
  if (id == TxId{})
    return Result<void>{};
  switch (status_locked(id))
  {
  case TxStatus::committed:
    return Result<void>{};
  case TxStatus::invalid:
    return fail(ErrorCode::lost, "transaction " + id.to_string() + " was never committed, and cannot be any more");
  case TxStatus::unknown:
    return fail(ErrorCode::unavailable, "transaction " + id.to_string() + " is not known here");
  case TxStatus::pending:
    break;
  }
  if (blocked_)
    return std::unexpected(*blocked_);
  return std::nullopt;
}

void CommitTracker::when_committed(TxId id, Ordering::Done done)
{
  Result<void> outcome;
  {
    const base::LockGuard lock(mutex_);
    const auto known = known_outcome(id);
    if (!known)
    {
      barriers_.emplace(id.seqno, std::pair(id, std::move(done)));
      return;
    }
    outcome = *known;
  }
  tell(done, outcome);
}

void CommitTracker::settle_barriers()
{
  std::vector<std::pair<Ordering::Done, Result<void>>> settled;
  {
    const base::LockGuard lock(mutex_);
    const auto end = blocked_ ? barriers_.end() : barriers_.upper_bound(committed_.seqno);
    for (auto at = barriers_.begin(); at != end;)
    {
      auto& [id, done] = at->second;
      auto outcome = known_outcome(id);
      if (!outcome)
      {
        ++at;
        continue;
      }
      settled.emplace_back(std::move(done), std::move(*outcome));
      at = barriers_.erase(at);
    }
  }
  for (const auto& [done, outcome] : settled)
    tell(done, outcome);
}

View CommitTracker::view() const
{
  return view_.load(std::memory_order_acquire);
}

TxId CommitTracker::committed() const
{
  const base::LockGuard lock(mutex_);
  return committed_;
}

std::optional<Error> CommitTracker::why_blocked() const
{
  const base::LockGuard lock(mutex_);
  return blocked_;
}

ViewHistory CommitTracker::views() const
{
  const base::LockGuard lock(mutex_);
  return views_;
}

TxStatus CommitTracker::status_locked(TxId id) const
{
  // Read after the lock was taken: a seqno is in views_ before the head holds it, and gone from both after a repair.
  const auto last = std::max(store_.head_seqno(), committed_.seqno);
  auto local = id.seqno <= last ? views_.view_of(id.seqno) : 0;
  // What another node's primary has ordered: applied once it is committed, but in the ledger of this node already.
  for (const auto& held : held_)
    if (local == 0 && held.first <= id.seqno && id.seqno <= held.last)
      local = held.view;
  return status_of(id, local, committed_);
}

TxStatus CommitTracker::status(TxId id) const
{
  const base::LockGuard lock(mutex_);
  return status_locked(id);
}

std::pair<std::optional<Seqno>, bool> CommitTracker::signature_covering(Seqno seqno) const
{
  const base::LockGuard lock(mutex_);
  return {signatures_.find(seqno), signatures_.must_read(seqno)};
}
}
