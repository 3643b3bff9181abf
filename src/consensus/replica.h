#pragma once

#include "base/clock.h"
#include "base/worker_pool.h"
#include "consensus/batch.h"
#include "consensus/disk_writer.h"
#include "consensus/durable_state.h"
#include "consensus/engine.h"
#include "consensus/invariants.h"
#include "consensus/ledger_writer.h"
#include "consensus/log_archive.h"
#include "consensus/ordering.h"
#include "consensus/presence.h"
#include "consensus/promises.h"
#include "consensus/raft_log.h"
#include "consensus/replay.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// Where messages to other nodes leave.
class Outbox
{
public:
  virtual ~Outbox() = default;
  /// Queues a message; it may get lost. The batches of its entries travel beside it: see `Replica::batch`.
  virtual void send(Message message) = 0;
};

struct ReplicaOptions
{
  EngineId id = 1;
  unsigned election_ticks = 10;
  unsigned heartbeat_ticks = 1;
  std::chrono::milliseconds tick{100};
  std::uint64_t seed = 0;      ///< of the election time-outs; 0 takes them from the operating system
  Index kept_entries = 65'536; ///< descriptors of committed batches that stay in memory, for who lags a little
  /// Writes what rounds ask for while others take part, so that no heartbeat waits for the disk. Null, or alone: the
  /// consensus thread does.
  base::Executor* disk = nullptr;
  base::Executor* reader = nullptr; ///< where entries that are no longer in memory are read from the ledger; null: here
  /// The disk has done something: call `take_stored`. Any thread.
  std::function<void()> stored = [] {};
  std::uint64_t max_unstored_bytes = std::uint64_t{64} << 20; ///< that were received, and wait for the disk
  unsigned patience_ticks = 30; ///< for so long may the disk do nothing with work waiting, before it counts as hanging
};

/// One node's part in the agreement: drives the engine by events, keeps its log, and holds the batches that are in
/// flight. Each event is followed by rounds, until the engine has nothing left to do; their order of effects is what
/// the safety of all else rests on, see README.md.
///
/// While others take part the disk is written elsewhere: events return before what they caused is durable, and
/// `take_stored` goes on from there. What is not durable here is never committed for Events.
///
/// Belongs to the consensus thread, but for `seal` and `durable`. After an error the engine is in the middle of a round
/// and must not be used: `abandon` ends it, and `start` begins anew from what is committed.
class Replica
{
public:
  /// Called within the event that caused it.
  struct Events
  {
    /// A batch is agreed on and durable here; in the order of the log, each once.
    std::function<void(const std::shared_ptr<const Batch>&)> committed;
    /// Batches that this node had proposed, in whose place others are committed now.
    std::function<void(const std::vector<std::shared_ptr<const Batch>>&)> lost = {};
    /// The read round `token` is answered: everything committed before it was asked for is applied here, or (fresh is
    /// false) nobody knows, as this node leads no longer.
    std::function<void(std::uint64_t token, bool fresh)> read = {};
  };

  /// @param log         where what is committed ends, and what follows in the ledger
  /// @param last_seqno  of what is committed
  Replica(
      ReplicaOptions options, const base::Clock& clock, DurableStateFile& file, const DurableState& durable,
      LedgerWriter& ledger, Outbox* outbox, RestoredLog log, Seqno last_seqno, Events events, Invariants* invariants);

  /// Takes part from now on, as follower. @pre the ledger ends with what is committed
  Result<void> start();
  /// The same for a node that comes back, and may have forgotten what it promised.
  /// @param id         that it takes part under
  /// @param term       that it begins with: it has voted in none from there on
  /// @param votes_for  the only one that it votes for until it is level with a leader of a later term; 0: it may do
  ///                   anything
  Result<void> start_again(EngineId id, View term, EngineId votes_for);
  /// Whether it leads, and those that answer it are enough without node `id`, which does not.
  bool is_confirmed_without(EngineId id) const;
  /// Whom it votes for until it is level.
  void vote_for(EngineId id);
  /// What another node knows to be committed: if that entry is in the log, so is all up to there for this node too.
  Result<void> learn_committed(LogPosition committed);
  /// Takes part without restriction: it has made sure that all that was committed is in its log.
  void be_level();
  /// Ends the engine: the log stays, to be started again. @pre may_rest(): nothing is being stored
  void rest();
  bool may_rest() const;
  /// Whether it takes part without restriction.
  bool is_level() const
  {
    return engine_ && !level_from_;
  }
  EngineId id() const
  {
    return id_;
  }
  LogPosition last() const;
  /// Where what is committed and told ends.
  LogPosition last_applied() const;
  /// The voters of changes that are in the log and not applied.
  std::vector<EngineId> coming_voters() const;
  /// Wants to lead now, without waiting for the time-out. Alone, it leads when this returns.
  Result<void> campaign();
  /// Puts a batch that follows the last one into the log; several may be in flight.
  /// @pre may_propose(); for one that changes who takes part, may_change() too
  Result<void> propose(std::shared_ptr<const Batch> batch);
  /// A message of another node, with the batches that it names and this node lacks.
  /// Error::not_found when one is missing, Error::limit when too much waits for the disk. After these, and
  /// Error::invalid or ::corrupt for the message itself, nothing has changed; other errors are of the disk.
  Result<void> receive(std::string_view message, std::span<const std::shared_ptr<const Batch>> batches);
  /// Goes on with what has become durable since. @return an error of the disk
  Result<void> take_stored();
  /// Lets the time go on, by as many ticks as have passed since.
  Result<void> tick();
  /// Asks whether this node still leads; answered by Events::read, in any case, once. @pre token is not outstanding
  void read(std::uint64_t token);

  /// Seals how far was committed. Lags, and nothing depends on when. Any thread may call.
  /// @param index  of the batch that the mark is of
  Result<void> seal(const Mark& mark, Index index);
  /// Gives complete ledger files that end at or below `seqno`, which is committed, their name.
  void name_committed(Seqno seqno);
  /// Of the last entry that is committed, and told.
  Index applied() const
  {
    return applied_;
  }
  Index last_index() const
  {
    return log_.last_index();
  }
  /// The terms that were opened behind the last batch of the log, as far as its entries are in memory.
  std::vector<OpenedTerm> opened_last() const;

  /// Ends the engine. @return the batches that were in flight, whose fate is not known
  std::vector<std::shared_ptr<const Batch>> abandon();

  bool runs() const
  {
    return engine_ != nullptr;
  }
  bool leads() const;
  /// It leads, and all that earlier primaries have put into its log is committed and told: it may go on from there.
  bool may_write() const;
  /// It leads, and is not handing over.
  bool may_propose() const;
  /// All earlier changes of who takes part are applied.
  bool may_change() const;
  /// Has another node take over as soon as it has all of the log: the one that has most of it.
  /// @return false if there is none, or this node does not lead
  bool hand_over();
  /// After what is applied.
  const Configuration& configuration() const
  {
    return configuration_;
  }
  /// Seals that this node is one of several from now on. @return an error of the disk
  Result<void> join_others();
  /// Something is not durable yet, or may still be written though it was abandoned.
  bool is_storing() const
  {
    return !unstored_.empty() || disk_.is_busy();
  }
  /// Batches that are in its log, and not durable here.
  bool has_unstored() const
  {
    return !unstored_.empty();
  }
  /// There is work for the disk, and it has done nothing for `patience_ticks`.
  bool disk_hangs() const
  {
    return idle_ticks_ >= options_.patience_ticks && disk_.is_busy();
  }
  /// Leads no longer, and falls silent: others elect one of them once they have missed it.
  Result<void> step_down();
  View term() const;
  EngineId leader() const
  {
    return engine_ ? engine_->leader() : 0;
  }
  /// It leads, or has heard its leader within an election time-out. A node that cannot be elected waits for one that is
  /// gone, or has forgotten it, for ever.
  bool hears_leader() const;
  /// Who leads (0: nobody is known to), who takes part, and how far they are if this node leads.
  Agreement agreement() const;
  /// Bytes of the batches that are in its log, and not committed yet.
  std::uint64_t bytes_in_flight() const
  {
    return bytes_in_flight_;
  }
  /// The oldest entry that another node can be given.
  Index first_available() const
  {
    return archive_.first_index();
  }
  /// The oldest entry whose descriptor is in memory.
  Index first_index() const
  {
    return log_.first_index();
  }
  DurableState durable() const
  {
    return promises_.written();
  }
  /// Those whose fate is not known.
  std::vector<std::shared_ptr<const Batch>> in_flight() const;
  /// A batch that is in flight here, to be sent beside a message; null if there is none: then it lies in the ledger.
  std::shared_ptr<const Batch> batch(const Descriptor& descriptor) const;

private:
  /// A round that is not durable, and what may leave once it is.
  struct Unstored
  {
    std::uint64_t write = 0; ///< the round whose write it waits for
    std::uint64_t round = 0; ///< the last one of these
    std::vector<Message> messages;
  };

  Seqno seqno_at(Index index) const;
  Result<void> drain();
  Result<void> do_round();
  Write log(const Ready& round);
  void keep_promises(const Ready& round, Write& write);
  bool stores_elsewhere() const;
  void go_on_early(Ready& round, Write write);
  Result<bool> release_stored();
  Seqno cut_before(Index index);
  std::shared_ptr<const Batch> take_held(const LogEntry& entry);
  void apply(const std::vector<LogEntry>& committed);
  void tell_lost();
  void answer_reads(const std::vector<ReadIndex>& reads);
  void lose_reads();
  void send(std::vector<Message>& messages);
  void watch_disk();

  Result<void> start_engine(EngineId votes_for);
  void look_whether_level();

  const ReplicaOptions options_;
  EngineId id_;
  const base::Clock& clock_;
  Promises promises_;
  std::atomic<Index> marked_ = 0; ///< index of the mark; 0 if it is not known
  LedgerWriter& ledger_;
  Outbox* const outbox_; ///< null for a node that is alone
  const Events events_;
  Invariants* const invariants_;
  DiskWriter disk_;

  RaftLog log_;
  LogArchive archive_;
  Configuration configuration_;
  Index applied_; ///< committed, and told to Events
  Seqno applied_seqno_;
  std::unique_ptr<Engine> engine_;
  LogPosition learned_;            ///< in the log, and committed as others know
  std::optional<View> level_from_; ///< it is level once its log reaches into this term or a later one
  std::chrono::steady_clock::time_point next_tick_;
  std::chrono::steady_clock::time_point heard_leader_;
  std::vector<std::shared_ptr<const Batch>> held_;          ///< proposed or received, and not in the log yet
  std::map<Index, std::shared_ptr<const Batch>> in_flight_; ///< in the log, and not committed yet
  std::uint64_t bytes_in_flight_ = 0;                       ///< of them
  /// Own ones that were cut from the log, by the index they had: another primary may yet find and commit them.
  std::multimap<Index, std::shared_ptr<const Batch>> replaced_;
  DurableState promised_;         ///< term, vote and terms opened, as the last round says: on the disk or on its way
  std::deque<Unstored> unstored_; ///< rounds, in their order
  std::uint64_t disk_steps_ = 0;  ///< as last seen
  unsigned idle_ticks_ = 0;       ///< since when the disk has done nothing with work waiting
  std::set<std::uint64_t> asked_; ///< read rounds without an answer
  std::multimap<Index, std::uint64_t> reads_; ///< read rounds that wait for an index to be applied
};
}
