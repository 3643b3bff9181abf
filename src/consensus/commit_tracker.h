#pragma once

#include "base/mutex.h"
#include "consensus/batch.h"
#include "consensus/invariants.h"
#include "consensus/ordering.h"
#include "consensus/signature_index.h"
#include "consensus/view_history.h"
#include "kv/store.h"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace concordat::consensus
{
/// Knows what became of transactions, and tells who waits.
///
/// The queries and `when_committed` may be called from any thread, the rest belongs to the consensus thread. Nobody is
/// called back under its lock. Everybody who asks to be told is told once: by `committed`, by `blocked`, or at once.
class CommitTracker
{
public:
  CommitTracker(
      const kv::Store& store, ViewHistory views, const std::vector<Seqno>& signatures, Invariants* invariants);

  /// Nothing can be committed from now on, for this reason: whoever waits is told, whoever comes is told at once.
  void blocked(const Error& why);
  /// Another node is primary in this view.
  void follows(View view);
  /// What lies in the log of consensus and may still be committed, in order; all of it is told each time.
  struct Held
  {
    View view = 0;
    Seqno first = 0;
    Seqno last = 0;

    bool operator==(const Held&) const = default;
  };
  void holds(std::vector<Held> held);
  /// Under the store's lock: a view begins after what is committed; what was known above is void.
  void view_begun(View view);
  /// A batch is agreed on, durable, and what readers see: whoever waits for it is told.
  void committed(const Batch& batch);

  void when_committed(TxId id, Ordering::Done done);

  View view() const;
  TxId committed() const;
  std::optional<Error> why_blocked() const;
  ViewHistory views() const;
  TxStatus status(TxId id) const;
  /// @return as SignatureIndex::find; the flag says that it must be read from the ledger
  std::pair<std::optional<Seqno>, bool> signature_covering(Seqno seqno) const;

private:
  TxStatus status_locked(TxId id) const REQUIRES(mutex_);
  std::optional<Result<void>> known_outcome(TxId id) const REQUIRES(mutex_);
  void settle_barriers();

  const kv::Store& store_;
  Invariants* const invariants_;

  mutable base::Mutex mutex_; ///< taken inside the store's lock, never around it
  std::optional<Error> blocked_ GUARDED_BY(mutex_);
  std::atomic<View> view_{0}; ///< written under mutex_
  TxId committed_ GUARDED_BY(mutex_);
  ViewHistory views_ GUARDED_BY(mutex_);
  std::vector<Held> held_ GUARDED_BY(mutex_); ///< of a node that follows
  SignatureIndex signatures_ GUARDED_BY(mutex_);
  /// By seqno: those that a batch settles are at the front.
  std::multimap<Seqno, std::pair<TxId, Ordering::Done>> barriers_ GUARDED_BY(mutex_);
};
}
