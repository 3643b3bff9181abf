#pragma once

#include "base/clock.h"
#include "consensus/durable_state.h"
#include "consensus/engine.h"
#include "consensus/ordering.h"
#include "consensus/raft_log.h"
#include "consensus/view_history.h"
#include "crypto/certificate.h"
#include "crypto/keys.h"
#include "kv/store.h"
#include "ledger/chunks.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// Who signs, and what the signatures say.
struct Signer
{
  std::string node_id;
  crypto::KeyPair node_key;
  std::string node_certificate_pem; ///< endorsed by the service
  crypto::KeyPair service_key;
  std::string cose_issuer;
  std::string cose_subject;
};

struct SequencerOptions
{
  EngineId engine_id = 1;
  std::uint64_t chunk_size = 5 << 20; ///< bytes after which a signature ends the chunk
  /// Transactions that may wait for agreement before new ones are refused; 0: no bound.
  std::uint64_t max_uncommitted = 10'000;
  std::chrono::milliseconds mark_interval{2000};   ///< what was committed is sealed at least so often
  std::chrono::milliseconds repair_interval{1000}; ///< pause between attempts to write again after a disk failure
};

/// Where the ledger stands when the sequencer takes over.
struct SequencerStart
{
  std::shared_ptr<ledger::ChunkFiles> chunks;
  ledger::MerkleTree tree; ///< over all entries of `chunks`
  ViewHistory views;
  std::vector<Seqno> signatures; ///< seqnos of all signature transactions
  DurableState durable;
  Index last_index = 0; ///< of the last batch, or of the empty entry that opened a term without batches
};

/// Puts transactions into one order and makes them last: closes batches with a signature transaction, gets each
/// batch agreed on as one raft entry, stores it with one fsync, and tells who waits.
///
/// `submit` and the queries may be called from any thread. `open_term` and `step` belong to one thread, the sequencer
/// thread; `run` is a loop around them.
class Sequencer : public Ordering
{
public:
  Sequencer(
      kv::Store& store, base::FileSystem& files, base::Path ledger_directory, const ledger::LedgerSecrets& secrets,
      Signer signer, base::Clock& clock, DurableStateFile& durable, SequencerOptions options, SequencerStart start);
  ~Sequencer() override;

  Result<TxId> submit(const kv::WriteTransaction& transaction, const Named& named, Done done) override;
  void when_committed(TxId id, Done done) override;

  /// Becomes primary in a new view, and signs whatever the ledger ends with.
  Result<void> open_term();

  /// Does one batch, if there is anything to do: transactions that wait, or repairing after a disk failure.
  /// @return true if a batch was committed
  bool step();

  /// Steps until `stop` is called, from any thread. What was submitted before is committed first.
  void run();
  void stop();

  View view() const override;
  bool can_write() const override;
  std::uint64_t waiting() const override;
  TxId committed() const override;
  ViewHistory views() const override;
  TxStatus status(TxId id) const override;
  Result<std::optional<Seqno>> signature_covering(Seqno seqno) const override;
  Result<std::string> read(Seqno seqno) const override;

private:
  struct Waiting;
  struct Batch;

  Batch close_batch();
  void sign(Batch& batch);
  Result<void> agree(const Batch& batch);
  Result<void> persist(const Ready& round, const Batch* batch);
  void finish(Batch& batch);
  TxStatus status_under_lock(TxId id) const;
  std::optional<Result<void>> known_outcome(TxId id) const;
  void settle_barriers();
  bool wait_for_work();
  void keep_mark(bool now);
  void fail_all(const std::vector<std::shared_ptr<Waiting>>& waiting, const Error& error);
  void break_down(Batch batch, const Error& error);
  Result<void> holds_committed(const ledger::ChunkFiles& chunks, Seqno last) const;
  Result<void> repair();
  Result<void> elect();

  kv::Store& store_;
  base::FileSystem& files_;
  const base::Path ledger_directory_;
  const ledger::LedgerSecrets& secrets_;
  const Signer signer_;
  base::Clock& clock_;
  DurableStateFile& durable_file_;
  const SequencerOptions options_;

  // Of the sequencer thread.
  ledger::MerkleTree tree_;
  DurableState durable_;
  RaftLog log_;
  std::unique_ptr<Engine> engine_;
  bool signature_due_ = false;
  bool mark_due_ = false; ///< nothing was committed yet since the term was opened
  std::chrono::steady_clock::time_point next_mark_;
  std::chrono::steady_clock::time_point next_repair_;

  mutable std::mutex mutex_; ///< guards what follows; taken inside the store's lock, never around it
  std::condition_variable work_;
  std::deque<std::shared_ptr<Waiting>> queue_;
  bool stopping_ = false;
  std::optional<Error> broken_; ///< why nothing can be written now
  std::atomic<View> view_{0};   ///< written under mutex_
  TxId committed_;
  ViewHistory views_;
  std::vector<Seqno> signatures_;
  std::shared_ptr<ledger::ChunkFiles> chunks_;
  std::vector<std::pair<TxId, Done>> barriers_;
  bool stopped_ = false; ///< nobody steps any more
  std::atomic<std::uint64_t> waiting_count_{0};
};
}
