#pragma once

#include "base/files.h"
#include "base/mutex.h"
#include "consensus/batch.h"
#include "consensus/invariants.h"
#include "ledger/chunks.h"
#include "ledger/secrets.h"

#include <memory>
#include <string>

namespace concordat::consensus
{
/// Brings batches to the disk.
///
/// One thread at a time, except `read`: the one that writes, which is the consensus thread or that of the disk. A batch
/// is durable only once `sync` has said so; after an error of any call but `commit` nothing is known about what lies
/// behind the last commit, and only `reopen` goes on.
class LedgerWriter
{
public:
  LedgerWriter(
      base::FileSystem& files, base::Path directory, const ledger::LedgerSecrets& secrets,
      std::shared_ptr<ledger::ChunkFiles> chunks, Invariants* invariants);

  Result<void> append(const Batch& batch);
  Result<void> sync();
  /// Renames the files that are complete and end at or below `seqno`. A failure costs nothing but the name.
  void commit(Seqno seqno);
  /// Cuts everything after `last`, durably. @pre last ≥ what is committed
  Result<void> truncate(Seqno last);
  /// After a failure: opens the directory anew, which writes the last files afresh and syncs them, so that nothing is
  /// believed that a failed sync has lost; looks whether they hold what was committed; and cuts the rest.
  /// @param leaf  of the committed entry `last`; null if there is none
  Result<void> reopen(Seqno last, const Digest* leaf);

  Seqno last() const
  {
    return chunks_->last();
  }
  std::uint64_t open_chunk_bytes() const
  {
    return chunks_->open_chunk_bytes();
  }
  /// The bytes of a committed entry. Any thread may call.
  Result<std::string> read(Seqno seqno) const;

private:
  Result<void> holds_committed(const ledger::ChunkFiles& chunks, Seqno last, const Digest* leaf) const;

  base::FileSystem& files_;
  const base::Path directory_;
  const ledger::LedgerSecrets& secrets_;
  Invariants* const invariants_;
  std::shared_ptr<ledger::ChunkFiles> chunks_; ///< of who writes
  mutable base::Mutex mutex_;
  std::shared_ptr<const ledger::ChunkFiles> readable_ GUARDED_BY(mutex_); ///< the same, for the others
};
}
