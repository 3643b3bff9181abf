#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "consensus/batch.h"
#include "consensus/invariants.h"
#include "consensus/ordering.h"
#include "consensus/signer.h"
#include "kv/store.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace concordat::consensus
{
/// Bounds on what waits for agreement; reaching one is an error to who reached it alone. 0: no bound.
struct BatcherOptions
{
  std::uint64_t max_uncommitted = 10'000;                         ///< transactions that wait
  std::uint64_t max_uncommitted_bytes = std::uint64_t{256} << 20; ///< of their entries in the ledger
  std::uint64_t max_entry_bytes = std::uint64_t{64} << 20;    ///< of one transaction; at most what the format allows
  std::uint64_t max_batch_transactions = 5'000;               ///< that one signature ends
  std::uint64_t max_batch_bytes = std::uint64_t{16} << 20;    ///< a single larger transaction is a batch by itself
  std::uint64_t large_entry_bytes = std::uint64_t{256} << 10; ///< from this size on, a transaction begins a batch
  std::uint64_t chunk_size = std::uint64_t{5} << 20;          ///< bytes after which a signature ends the chunk
  std::function<void(TxId)> placed =
      {}; ///< for tests: called between a transaction's place and its encoding; may throw
  std::function<void(TxId)> placed_own = {}; ///< the same for what the primary writes by itself; may not throw
};

/// Takes transactions of this primary into the order, and closes batches of them with a signature.
///
/// `submit` and `waiting` may be called from any thread, the rest belongs to the consensus thread. Where one batch ends
/// is decided when a transaction takes its place: the batch would be too large with it, or it alone is large, so the
/// place of a signature is reserved before it. Else a batch ends when the consensus thread is ready for the next one,
/// and holds all that waits.
class Batcher
{
public:
  /// @param wake  called when there is something to close
  Batcher(
      kv::Store& store, const ledger::LedgerSecrets& secrets, const Signer& signer, const base::Clock& clock,
      const BatcherOptions& options, ledger::MerkleTree tree, std::function<void()> wake, Invariants* invariants);

  Result<TxId> submit(const kv::WriteTransaction& transaction, const Ordering::Named& named, Ordering::Done done);
  /// The first transaction of a view that is opened, which this node writes itself.
  Result<TxId> submit_first(const kv::WriteTransaction& transaction);
  /// A transaction that changes who takes part, and says so: it begins a batch.
  Result<TxId> submit_change(const kv::WriteTransaction& transaction, const ConfigurationChange& change);
  std::uint64_t waiting() const;

  /// Under the store's lock: a view begins after the committed signature `after`. Nothing is taken yet but by
  /// `submit_first`.
  /// @param chunk_bytes  in the open chunk of the ledger
  void open(Seqno after, std::uint64_t chunk_bytes);
  /// Transactions are taken from now on.
  void admit_all();
  /// Nothing is taken any more, for this reason. @return everything that was taken and is in no closed batch
  std::vector<std::shared_ptr<Waiting>> close(const Error& why);
  bool has_work() const;

  /// Closes the next batch, which may be a signature alone.
  /// @return an error when a transaction of it could not be encoded or the signature not be made; nothing of this view
  ///         can be closed any more then, and `lost` holds what was in the batch
  Result<std::shared_ptr<const Batch>> next(std::vector<std::shared_ptr<Waiting>>& lost);
  /// These transactions wait no more; told before they are, so that whoever is answered may submit again.
  void settled(const std::vector<std::shared_ptr<Waiting>>& transactions);

  /// Forgets leaves below a committed signature: the next one's tree begins there.
  void committed(Seqno signature)
  {
    tree_.flush(signature);
  }
  /// Forgets what was not committed. @pre last was told to `committed` last
  void truncate(Seqno last)
  {
    tree_.truncate(last + 1);
  }
  /// While another node is primary: the tree over what is committed, for its batches to be appended to.
  ledger::MerkleTree& followed_tree()
  {
    return tree_;
  }
  /// Appends a batch of this node that was committed after it had ceased to be primary.
  void append(const Batch& batch);
  const ledger::MerkleTree& tree() const
  {
    return tree_;
  }

private:
  class Admission;

  Result<void> admit(std::uint64_t bytes);
  /// What is special about a transaction of this node's own.
  struct Own
  {
    bool is_first = false;
    const ConfigurationChange* change = nullptr;
  };

  Result<TxId>
  take(const kv::WriteTransaction& transaction, const Ordering::Named& named, Ordering::Done done, Own own);
  Result<TxId> order(
      const kv::WriteTransaction& transaction, const Ordering::Named& named, const std::shared_ptr<Waiting>& waiting,
      Own own);
  bool ends_before(std::uint64_t bytes) const REQUIRES(mutex_);
  void end_open_batch(TxId signature, kv::Snapshot below) REQUIRES(mutex_);
  std::shared_ptr<Batch> take();
  void sign(Batch& batch);

  kv::Store& store_;
  const ledger::LedgerSecrets& secrets_;
  const Signer& signer_;
  const base::Clock& clock_;
  const BatcherOptions options_;
  const std::function<void()> wake_;
  Invariants* const invariants_;

  // Of the consensus thread.
  ledger::MerkleTree tree_;
  Seqno closed_ = 0;              ///< the last signature
  std::uint64_t chunk_bytes_ = 0; ///< of closed batches since the last one that ends a chunk

  std::atomic<std::uint64_t> waiting_count_{0};
  std::atomic<std::uint64_t> waiting_bytes_{0};

  mutable base::Mutex mutex_; ///< taken inside the store's lock, never around it
  std::optional<Error> refused_ GUARDED_BY(mutex_);
  std::shared_ptr<Batch> open_ GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Batch>> ended_ GUARDED_BY(mutex_); ///< that have a place for their signature
};
}
