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
using Index = std::uint64_t;  ///< position in the raft log, the first is 1; not a seqno

/// What an engine entry says of a signed batch: the bytes themselves lie in the ledger.
struct Descriptor
{
  Seqno first = 0;
  Seqno last = 0;  ///< the signature transaction
  std::uint64_t length = 0;  ///< bytes of all entries
  Digest digest{};           ///< SHA-256 of all entries one after the other

  bool operator==(const Descriptor&) const = default;
  std::string encode() const;
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
  virtual Index first_index() const = 0;  ///< of the first entry that can be read; last_index() + 1 if there is none
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
  HardState hard_state;  ///< of a fresh service: term 1, so that the first view is 2
  Index applied = 0;     ///< up to where the caller has applied committed entries
  unsigned election_ticks = 10;
  unsigned heartbeat_ticks = 1;
};

struct Message
{
  EngineId to;
  std::string bytes;
};

/// One round of work that the engine hands out.
struct Ready
{
  std::vector<Message> messages;  ///< may leave at once
  std::optional<HardState> hard_state;  ///< persist before going on
  std::vector<LogEntry> entries;  ///< append to the log (replacing from the first index on) and persist before going on
  std::vector<Message> persisted_messages;  ///< may leave once the above is persisted
  std::vector<LogEntry> committed;          ///< apply, in order
};

/// The raft algorithm, without disk, network or clock. Used by one thread.
///
/// A round: `ready()` when `has_ready()`; persist what it asks for; then `advance()`, which may commit more.
class Engine
{
public:
  /// @param log must outlive the engine
  static Result<std::unique_ptr<Engine>> create(const EngineOptions& options, const LogReader& log);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void tick();
  /// Starts an election now.
  Result<void> campaign();
  /// Error::unavailable when this node does not lead.
  Result<void> propose(const Descriptor& batch);
  /// A message of another node. Any bytes: Error::invalid for what is none.
  Result<void> step(std::string_view message);

  bool leads() const;
  View term() const;
  EngineId leader() const;  ///< 0 if unknown

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
