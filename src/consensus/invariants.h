#pragma once

#include "base/mutex.h"
#include "concordat/transaction.h"
#include "consensus/batch.h"
#include "consensus/engine.h"

#include <cstdint>
#include <map>

namespace concordat::consensus
{
/// Stands beside the parts of the sequencer and ends the process as soon as one of them does what must never happen.
/// Each part tells it what it is about to do; it believes nothing but that, and shares no state with what it checks.
///
/// On in tests and in the simulation (SequencerOptions::invariants). It may outlive a sequencer: what was given out
/// before a restart counts too. Any thread may call.
class Invariants
{
public:
  /// A process begins on a ledger that ends with `stored`, which reaches everything that was acknowledged; of it,
  /// `committed` is known to be so.
  void started(TxId committed, Seqno stored);
  /// A new view begins after `committed`; what was given out above it is void.
  void view_begun(View view, TxId committed);
  /// A transaction gets an id, with which it is encrypted: ids only go up, and none is given out twice.
  /// @param secret  under which it lies: its first seqno
  void issued(TxId txid);
  /// A batch is closed: it follows the one before without a gap, and its signature is over the root of the tree.
  void closed(const Batch& batch, std::uint64_t tree_size, const Digest& signed_root, const Digest& tree_root);
  /// An entry is in the log: indices have no gap.
  void logged(const LogEntry& entry);
  /// Entries from `index` on are no longer in the log.
  void replaced(Index index);
  /// Somebody is about to be told that everything up to here is stored.
  void stored(Seqno last);
  /// Everything up to here is on the disk, which said so.
  void durable(Seqno last);
  /// The files were cut. Never below what is committed.
  void cut(Seqno last);
  /// Agreed: in the order of the log, and never before it is durable.
  void committed(Index index, TxId signature);
  /// Readers see it: never before it is committed, and never back.
  void published(TxId state);
  /// Somebody is told that this is committed: never before readers see it.
  void acknowledged(TxId txid);
  /// What a start must find: never beyond what is durable and committed.
  void marked(TxId txid);

private:
  base::Mutex mutex_;
  TxId issued_ GUARDED_BY(mutex_);
  Seqno closed_ GUARDED_BY(mutex_) = 0;
  Index logged_ GUARDED_BY(mutex_) = 0;
  Index agreed_ GUARDED_BY(mutex_) = 0;
  Seqno durable_ GUARDED_BY(mutex_) = 0;
  TxId committed_ GUARDED_BY(mutex_);
  TxId published_ GUARDED_BY(mutex_);
  TxId acknowledged_ GUARDED_BY(mutex_); ///< the last one
};
}
