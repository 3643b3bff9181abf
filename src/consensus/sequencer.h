#pragma once

#include "base/clock.h"
#include "base/files.h"
#include "base/mutex.h"
#include "base/worker_pool.h"
#include "consensus/batcher.h"
#include "consensus/commit_tracker.h"
#include "consensus/durable_state.h"
#include "consensus/feed.h"
#include "consensus/invariants.h"
#include "consensus/ledger_writer.h"
#include "consensus/mark_keeper.h"
#include "consensus/membership.h"
#include "consensus/ordering.h"
#include "consensus/peers.h"
#include "consensus/read_rounds.h"
#include "consensus/readmission.h"
#include "consensus/replay.h"
#include "consensus/replica.h"
#include "consensus/signer.h"
#include "consensus/view_history.h"
#include "kv/store.h"
#include "ledger/chunks.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"
#include "ledger/wrapped_secret.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace concordat::consensus
{
struct SequencerOptions : BatcherOptions
{
  EngineId engine_id = 1;
  Peers* peers = nullptr; ///< outlives the sequencer; null for a node that stays alone
  /// Who should take part, as the tables of a committed state say; null: as it is. Called on the consensus thread.
  std::function<Wanted(const kv::Snapshot&)> wanted = {};
  Readmit readmit = {}; ///< null: nobody is readmitted
  /// Told of each state that is published, on the consensus thread: quick.
  std::function<void(const kv::Snapshot&)> published = {};
  /// Of the first primary after a full stop (see `Sequencer::take_part`), once its view is open and before anything is
  /// encrypted in it: changes the ledger's secret with its first transaction, whose seqno is given. On the consensus
  /// thread. An error ends this node's part as one of the disk does.
  std::function<Result<void>(Transaction&, Seqno)> first_after_full_stop = {};
  /// Takes the secret that another primary has changed to out of the ledger; null: none can be. Outlives the sequencer.
  const ledger::SecretReceiver* receiver = nullptr;
  /// Told, on the consensus thread, when that has happened: a good time to seal it.
  std::function<void()> secret_changed = {};
  std::chrono::milliseconds tick{100};
  unsigned election_ticks = 10;
  std::uint64_t seed = 0;                                      ///< of the election time-outs; 0: the operating system's
  std::uint64_t max_bytes_in_flight = std::uint64_t{32} << 20; ///< that are proposed and not committed
  std::uint64_t max_inbox_bytes = std::uint64_t{64} << 20;     ///< of messages that wait; more are dropped
  std::chrono::milliseconds mark_interval{2000};               ///< what was committed is sealed at least so often
  /// For so long those whose transactions were in flight when leadership was lost wait for what becomes of them.
  std::chrono::milliseconds doubt{3000};
  std::chrono::milliseconds repair_interval{1000}; ///< pause between attempts to write again after a failure
  Invariants* invariants = nullptr;                ///< outlives the sequencer; null: not checked
  /// Writes batches to the disk while others take part, so that no heartbeat waits for it; one thread, stopped before
  /// the sequencer goes. Null: the consensus thread writes.
  base::Executor* disk = nullptr;
  /// Reads from the ledger what a node lacks that has been away for long; stopped before the sequencer goes. Null: the
  /// consensus thread does.
  base::Executor* reader = nullptr;
  Index kept_entries = 65'536; ///< descriptors of committed batches that stay in memory
  /// A primary gives up leading when its disk has done nothing for so many election time-outs, with work waiting.
  unsigned disk_patience = 3;
  /// Seals what was committed, which nobody waits for; stopped before the sequencer goes. Null: the consensus thread.
  base::Executor* aside = nullptr;
};

/// Where the ledger stands when the sequencer takes over.
struct SequencerStart
{
  std::shared_ptr<ledger::ChunkFiles> chunks;
  ledger::MerkleTree tree; ///< over all entries of `chunks`
  ViewHistory views;
  std::vector<Seqno> signatures; ///< seqnos of all signature transactions
  DurableState durable;
  RestoredLog log; ///< ends with the last batch, or the empty entry that opened a term without batches
};

/// The order of transactions on one node: joins the batcher, the replica, the ledger writer and
/// the commit tracker, each of which has one idea, and repairs them together when one fails.
///
/// What `Ordering` names may be called from any thread. The rest belongs to one thread, the consensus thread; `run` is
/// a loop around `step`, which never waits for anything but the disk.
class Sequencer : public Ordering, private Outbox
{
public:
  Sequencer(
      kv::Store& store, base::FileSystem& files, base::Path ledger_directory, ledger::LedgerSecrets& secrets,
      Signer signer, base::Clock& clock, DurableStateFile& durable, SequencerOptions options, SequencerStart start);
  ~Sequencer() override;

  Result<TxId> submit(const kv::WriteTransaction& transaction, const Named& named, Done done) override;
  void when_committed(TxId id, Done done) override;
  bool asks_others() const override
  {
    return reads_.asks_others();
  }
  bool when_fresh(Done done) override;
  bool when_primary(Done done) override EXCLUDES(agreement_mutex_);

  /// Alone: becomes primary in a new view, which the first `step` signs, together with what was submitted before it:
  /// nothing is written until then, so that a start can say first under which secret it writes. The first transaction
  /// holds `place()`.
  Result<void> open_term();
  /// What the first transaction of a view says under `LogRecord::table`. Of the consensus thread.
  LogRecord place() const;

  /// Takes part as one of several, as follower until it is elected; at once if the others are gone.
  /// @param full_stop  no node was running when this one started, and none had seen a higher term than this one's now:
  ///                   whoever is primary changes the ledger's secret first, until that is committed
  Result<void> take_part(bool full_stop = false);
  /// Comes back as one of several from what was sealed: takes part once others, or all that are left, have made sure
  /// that nothing is lost by it. Until then it serves what it knows to be committed.
  void come_back(const Return& how);
  /// What another node says of itself when the roll is called. Any thread may call.
  void hear(const std::string& node, std::string presence);
  /// A message of another node, with the batches that came beside it. Any thread may call.
  void deliver(std::string message, std::vector<std::shared_ptr<const Batch>> batches);

  /// Does what there is to do now, at most one batch: ticks, a batch, the mark, repairing after a failure.
  /// @return true if a batch was committed
  bool step();

  /// Steps until `stop` is called, from any thread. What was submitted before is committed first, if anything can be;
  /// everybody who still waits then is told.
  void run();
  void stop();

  /// Of the consensus thread: its disk has failed, and it takes no part. Alone, it repairs itself; one of several
  /// starts again.
  bool is_broken() const
  {
    return broken_;
  }

  View view() const override;
  bool can_write() const override;
  Agreement agreement() const override EXCLUDES(agreement_mutex_);
  /// Voters without which this node takes part since its start, as the operator has said; mostly none.
  std::vector<EngineId> accepted_missing() const EXCLUDES(agreement_mutex_);
  std::uint64_t waiting() const override;
  TxId committed() const override;
  ViewHistory views() const override;
  TxStatus status(TxId id) const override;
  Result<std::optional<Seqno>> signature_covering(Seqno seqno) const override;
  Result<std::string> read(Seqno seqno) const override;

  /// What was committed, in order. Any thread may call.
  Feed& feed()
  {
    return feed_;
  }

private:
  static const Error not_primary;

  struct Incoming
  {
    std::string message;
    std::vector<std::shared_ptr<const Batch>> batches;
    std::uint64_t bytes = 0;
  };

  bool is_alone() const
  {
    return replica_.configuration().is_alone(replica_.id());
  }
  void send(Message message) override;
  Result<std::shared_ptr<const Batch>> batch_of(const Descriptor& descriptor) const;
  Result<void> receive_all();
  Result<void> follow_roles();
  Presence presence() const;
  Result<void> meet_others();
  void tell_agreement() EXCLUDES(agreement_mutex_);
  void tell_log();
  Result<void> lead(bool records);
  Result<void> open_view(bool records);
  Result<void> record_place();
  void adapt_membership();
  bool keeps_on();
  void cede();
  void end_doubts();
  bool can_propose() const;
  bool has_mail() const;
  Result<void> move_on();
  Result<void> give_way();
  void tell_lost(const std::vector<std::shared_ptr<const Batch>>& lost);
  kv::Snapshot state_of(const Batch& batch);
  void finish(const std::shared_ptr<const Batch>& batch);
  std::vector<std::shared_ptr<Waiting>> give_up();
  void break_down(const Error& error, const std::vector<std::shared_ptr<Waiting>>& lost);
  void refuse_all(const Error& why, std::vector<std::shared_ptr<Waiting>> lost);
  Result<void> repair();
  void wake();
  void wait_for_work();

  kv::Store& store_;
  ledger::LedgerSecrets& secrets_; ///< changed on the consensus thread
  base::Clock& clock_;
  const SequencerOptions options_;
  const Signer signer_;
  CommitTracker tracker_;
  LedgerWriter ledger_;
  Batcher batcher_;
  Replica replica_;
  ReadRounds reads_;
  MarkKeeper marks_;
  Readmission readmission_;
  Feed feed_;

  // Of the consensus thread.
  bool broken_ = true; ///< nothing can be written until a repair has opened a view
  bool primary_ = false;
  bool signature_due_ = false;
  bool change_queued_ = false; ///< of who takes part, submitted and not yet proposed
  bool progressed_ = false;
  std::optional<std::chrono::steady_clock::time_point> lonely_from_; ///< without a primary for long from then on
  bool hangs_ = false;                                               ///< the disk, as was last said in the log
  View gave_way_ = 0;               ///< the last view in which it wanted another one to lead, because of that
  std::optional<View> stopped_in_;  ///< after a full stop, until a change of the secret is committed in a later view
  std::optional<Seqno> changes_at_; ///< with what this node, as primary, changes the secret
  bool secret_learned_ = false;     ///< from the batch that is looked at
  bool secret_begins_ = false;      ///< with that batch
  std::vector<CommitTracker::Held> told_log_;
  std::chrono::steady_clock::time_point next_repair_;

  std::chrono::steady_clock::time_point next_agreement_;
  std::chrono::steady_clock::time_point next_adaption_;
  std::chrono::steady_clock::time_point patient_until_;             ///< with a node that has been admitted
  std::optional<std::chrono::steady_clock::time_point> doubt_ends_; ///< somebody waits for what others make of it
  std::optional<std::chrono::steady_clock::time_point> patience_;   ///< when it stops: for somebody to take over

  mutable base::Mutex agreement_mutex_;
  Agreement agreement_ GUARDED_BY(agreement_mutex_);
  std::vector<EngineId> accepted_missing_ GUARDED_BY(agreement_mutex_);

  mutable base::Mutex inbox_mutex_;
  std::deque<Incoming> inbox_ GUARDED_BY(inbox_mutex_);
  std::uint64_t inbox_bytes_ GUARDED_BY(inbox_mutex_) = 0;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> woken_{false};
  base::Mutex wake_mutex_; ///< only for waiting
  base::CondVar work_;
};
}
