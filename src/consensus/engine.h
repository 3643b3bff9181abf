#pragma once

#include "concordat/error.h"
#include "consensus/configuration.h"
#include "consensus/log_entry.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// What must survive a crash before any message that depends on it leaves.
struct HardState
{
  View term = 0;
  EngineId vote = 0;
  Index commit = 0;

  bool operator==(const HardState&) const = default;
};

/// The raft log as the engine reads it. Ours, so that where it is kept is ours to decide: what is not applied yet is at
/// hand, older entries may be made from the ledger when they are asked for, for a node that lags.
class LogReader
{
public:
  virtual ~LogReader() = default;
  virtual Index first_index() const = 0; ///< of the first entry that can be read; last_index() + 1 if there is none
  virtual Index last_index() const = 0;
  /// Also of first_index() − 1. Asked for often, so that it must not touch the disk. @return nothing outside
  virtual std::optional<View> term(Index index) const = 0;
  /// @pre first_index() ≤ index ≤ last_index()
  /// @return nothing if the entry is applied and can't be read: a node that lacks it is reported as stranded
  virtual std::optional<LogEntry> read(Index index) const = 0;
};

struct EngineOptions
{
  EngineId id = 1;                               ///< need not be in the configuration: a node that joins is not yet
  Configuration configuration = {.voters = {1}}; ///< after the entry `applied`
  HardState hard_state; ///< of a fresh service: term 1, so that the first view is 2. Its commit may be behind
  Index applied = 0;    ///< up to where the caller has applied committed entries
  unsigned election_ticks = 10;
  unsigned heartbeat_ticks = 1;
  std::size_t max_inflight_messages = 64;       ///< appends on their way to one node, up to 65,536
  std::size_t max_message_entries = 2'048;      ///< of one append, up to 2,730
  std::uint64_t max_message_batches = 1U << 20; ///< bytes of the batches beside one append of several entries
  std::size_t max_waiting = 65'536;             ///< entries proposed and not yet committed
  std::uint64_t seed = 0; ///< of the election time-outs, for a simulation; 0 takes them from the operating system
  /// A node that may have forgotten what it promised starts no election, and votes for `votes_for` alone, until
  /// `take_part()`. It stores and acknowledges: that its log is the same as a leader's is true again then.
  bool observes = false;
  EngineId votes_for = 0; ///< 0: for nobody
};

struct Message
{
  EngineId to = 0;
  std::string bytes;
  std::vector<LogEntry> entries; ///< what the bytes carry, so that the batches can travel beside them
};

/// What a received message says of itself. Its sender is a claim: compare it with who the connection belongs to.
struct MessageSummary
{
  EngineId from = 0;
  EngineId to = 0;
  View term = 0;
  std::vector<LogEntry> entries; ///< whose batches must be stored before the message is stepped
};

/// The answer to `Engine::read_index`.
struct ReadIndex
{
  std::uint64_t token = 0;
  Index index = 0;

  bool operator==(const ReadIndex&) const = default;
};

/// One round of work that the engine hands out.
struct Ready
{
  std::uint64_t number = 0;      ///< for `persisted()`; grows from round to round
  std::vector<Message> messages; ///< may leave at once: a leader's, before its own entries are persisted
  /// Persist before going on, and before `entries`: the log must not reach into a term that the hard state lacks.
  std::optional<HardState> hard_state;
  std::vector<LogEntry> entries; ///< append to the log (replacing from the first index on) and persist before going on
  std::vector<Message> persisted_messages; ///< may leave once the above is persisted
  std::vector<LogEntry> committed;         ///< apply, in order; those with a change by `apply_change` too
  std::vector<ReadIndex> reads;            ///< reads that may be answered once `index` is applied
  std::vector<EngineId> stranded; ///< nodes that lack entries which the log no longer has: they need a snapshot
};

/// The raft algorithm, without disk, network or clock. Used by one thread.
///
/// A round: `ready()` when `has_ready()`; persist what it asks for; then `advance()`, which may commit more. Between
/// `ready()` and `advance()` nothing else is called but `apply_change` and what only asks; rounds are drained before
/// the next tick or step. Who can't wait for the disk ends a round by `advance_early()`, and says `persisted()` later.
/// Time-outs restart from a random point whenever term or role change.
///
/// Pre-vote and check-quorum are on: a node that hears nobody changes nobody's term, nobody votes while he hears a
/// leader (except that this one hands over), and a leader that hears no majority for an election time-out steps down.
class Engine
{
public:
  /// @param log must outlive the engine
  /// @return Error::invalid for options that cannot be; Error::corrupt when hard state and log do not fit together
  static Result<std::unique_ptr<Engine>> create(const EngineOptions& options, const LogReader& log);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void tick();
  /// Starts an election now.
  Result<void> campaign();
  /// Error::unavailable when this node does not lead, or hands over.
  /// Error::limit when too many are waiting to be committed. The entry is in the next `ready()`.
  Result<void> propose(const Descriptor& batch);
  /// Proposes a batch that changes who takes part. It does so once it is applied, not before. A leader that is no
  /// voter after it steps down then; it should have handed over first.
  /// Error::unavailable as for `propose`; also until an entry of this term and every change before are applied; for a
  /// joint configuration that must be left first, or one to leave that there is not. Error::invalid for a change that
  /// can't be made (`Configuration::after`). Nothing has changed after an error.
  Result<void> propose_change(const Descriptor& batch, const ConfigurationChange& change);
  /// Has `to` take over as soon as its log is level: it starts an election at once. Until then, at most for an election
  /// time-out, nothing can be proposed here. To itself: calls it off.
  /// Error::unavailable if this node does not lead, or `to` is no voter (an outgoing one is none).
  Result<void> transfer_leadership(EngineId to);
  /// Leads no longer, and says so to nobody: others elect one of them once they have missed it. Without effect on a
  /// follower.
  void step_down();
  /// A message of another node. Any bytes: Error::invalid for what is none. Late ones, and answers of nodes that this
  /// one does not know as members, change nothing. Who leads or asks for a vote may be unknown here: this node may lag.
  /// Error::corrupt for one that contradicts what this node knows: this node has lost entries, or the other is wrong.
  /// Nothing has changed after an error.
  Result<void> step(std::string_view message);
  /// Tells that messages to a node get lost: what is sent to it is one append at a time, until it answers.
  void unreachable(EngineId peer);
  /// Ends `EngineOptions::observes`.
  void take_part();
  /// Whom it votes for while it observes.
  void vote_for(EngineId id);
  /// What another node knows to be committed. Without effect on a leader, and unless that entry is in the log. Who
  /// knows it may be out of the agreement by it, and no other may be: nobody else would tell then.
  void learn_committed(LogPosition committed);
  /// Asks the other nodes whether this one still leads. Once a majority has said so, `Ready::reads` holds the token
  /// with an index; what is applied up to there is fresh enough for a read that began before this call.
  /// A token whose answer is outstanding when leadership is lost gets none.
  /// @param token  different from those outstanding
  /// @return Error::unavailable when this node does not lead, or has not yet committed an entry of its term
  Result<void> read_index(std::uint64_t token);

  /// What a message says, without stepping it. Any bytes: Error::invalid for what is no message.
  static Result<MessageSummary> inspect(std::string_view message);

  bool leads() const;
  View term() const;
  EngineId leader() const; ///< 0 if unknown
  Index commit() const;
  EngineId handing_over_to() const; ///< 0 unless `transfer_leadership` is under way
  /// Whether a change may be in the log that is not applied: `propose_change` would be refused.
  bool change_pending() const;
  Configuration configuration() const; ///< after the last `apply_change`
  Role role() const;                   ///< this node's in it
  /// Of every other node of the configuration, sorted; nothing unless this node leads.
  std::vector<PeerProgress> progress() const;
  /// Whether this node leads, and would decide together with those that are active.
  bool has_quorum() const;

  bool has_ready() const;
  Ready ready();
  /// Tells that the last `ready()` has been persisted and its committed entries applied.
  /// @return a round that needs no persisting: messages, committed entries, and a hard state whose commit may be
  ///         written with the next one
  Ready advance();
  /// Ends a round that is not persisted yet: its entries are in the log (where `LogReader` finds them), and its
  /// `persisted_messages` are kept back. What it committed is applied when `applied()` says so.
  void advance_early();
  /// Tells that all rounds up to `number` are persisted; `advance()` says so of all rounds before too.
  void persisted(std::uint64_t number);
  /// Takes up the configuration of a committed entry that changes it. To be called for each, in order, before
  /// `advance()` or `applied()` says that the entry is applied.
  /// @return the configuration from here on; Error::corrupt for a change that cannot be made, which no leader proposes:
  ///         nothing has changed, and the engine cannot go on
  Result<Configuration> apply_change(const LogEntry& entry);
  /// Tells that committed entries up to `index` are applied.
  void applied(Index index);

private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};
}
