#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// Identifies a node to the raft engine; never 0, never reused.
using EngineId = std::uint64_t;
using Index = std::uint64_t; ///< position in the raft log, the first is 1; not a seqno

/// What an engine entry says of a signed batch: the bytes themselves lie in the ledger.
struct Descriptor
{
  Seqno first = 0;
  Seqno last = 0;           ///< the signature transaction
  std::uint64_t length = 0; ///< bytes of all entries
  Digest digest{};          ///< Merkle leaf of the signature transaction, which binds every entry of the batch

  bool operator==(const Descriptor&) const = default;
  /// first, last and length as u64 in little-endian order, then the digest: 56 bytes.
  std::string encode() const;
  /// Error::invalid unless there are 56 bytes with 1 ≤ first ≤ last < 2^63 and a length that is not 0.
  static Result<Descriptor> decode(std::string_view bytes);
};

/// An entry of the raft log: a batch, or (without descriptor) the empty one that opens a term.
struct LogEntry
{
  Index index = 0;
  View term = 0;
  std::optional<Descriptor> batch;

  bool operator==(const LogEntry&) const = default;
};

/// What must survive a crash before any message that depends on it leaves.
struct HardState
{
  View term = 0;
  EngineId vote = 0;
  Index commit = 0;

  bool operator==(const HardState&) const = default;
};

/// The raft log as the engine reads it. Ours, so that where it is kept is ours to decide.
class LogReader
{
public:
  virtual ~LogReader() = default;
  virtual Index first_index() const = 0; ///< of the first entry that can be read; last_index() + 1 if there is none
  virtual Index last_index() const = 0;
  /// Also of first_index() − 1. @return nothing outside
  virtual std::optional<View> term(Index index) const = 0;
  /// @pre first_index() ≤ index ≤ last_index()
  virtual LogEntry entry(Index index) const = 0;
};

struct EngineOptions
{
  EngineId id = 1;
  std::vector<EngineId> voters = {1};
  HardState hard_state; ///< of a fresh service: term 1, so that the first view is 2
  Index applied = 0;    ///< up to where the caller has applied committed entries
  unsigned election_ticks = 10;
  unsigned heartbeat_ticks = 1;
  std::uint64_t seed = 0; ///< of the election time-outs, for a simulation; 0 takes them from the operating system
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
  std::vector<Message> messages; ///< may leave at once
  /// Persist before going on, and before `entries`: the log must not reach into a term that the hard state lacks.
  std::optional<HardState> hard_state;
  std::vector<LogEntry> entries; ///< append to the log (replacing from the first index on) and persist before going on
  std::vector<Message> persisted_messages; ///< may leave once the above is persisted
  std::vector<LogEntry> committed;         ///< apply, in order
  std::vector<ReadIndex> reads;            ///< reads that may be answered once `index` is applied
  std::vector<EngineId> stranded; ///< nodes that lack entries which the log no longer has: they need a snapshot
};

/// The raft algorithm, without disk, network or clock. Used by one thread.
///
/// A round: `ready()` when `has_ready()`; persist what it asks for; then `advance()`, which may commit more. Between
/// `ready()` and `advance()` nothing else is called; rounds are drained before the next tick or step.
/// Time-outs restart from a random point whenever term or role change.
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
  /// Error::unavailable when this node does not lead.
  /// Error::limit when too many are waiting to be committed. The entry is in the next `ready()`.
  Result<void> propose(const Descriptor& batch);
  /// A message of another node. Any bytes: Error::invalid for what is none.
  /// Error::corrupt for one that contradicts what this node knows: this node has lost entries, or the other is wrong.
  /// Nothing has changed after an error.
  Result<void> step(std::string_view message);
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

  bool has_ready() const;
  Ready ready();
  /// Tells that the last `ready()` has been persisted and its committed entries applied.
  /// @return a round that needs no persisting: messages, committed entries, and a hard state whose commit may be
  ///         written with the next one
  Ready advance();
  /// Tells that committed entries up to `index` are applied.
  void applied(Index index);

private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};
}
