#pragma once

#include "consensus/engine.h"

#include <deque>
#include <span>

namespace concordat::consensus
{
/// The raft log in memory: descriptors only, some hundred bytes a batch. The batches lie in the ledger files, from
/// which the log is filled again at start.
///
/// Used by the engine's thread. Indexes have no gap: base + 1 … last_index().
class RaftLog : public LogReader
{
public:
  /// An empty log after the entry (base, base_term); (0, 0) is the beginning of the service.
  explicit RaftLog(Index base = 0, View base_term = 0);

  Index first_index() const override;
  Index last_index() const override;
  std::optional<View> term(Index index) const override;
  std::optional<LogEntry> read(Index index) const override;
  /// @pre first_index() ≤ index ≤ last_index()
  LogEntry entry(Index index) const;

  /// Puts `entries` after the one before their first, and drops whatever stood there and after.
  /// @pre their indexes follow each other, and base() < first index ≤ last_index() + 1
  void append(std::span<const LogEntry> entries);
  /// Forgets entries up to and including `index`, of which only the term is kept. Without effect below base().
  /// @pre index ≤ last_index(), and the engine was told that it is applied
  void compact(Index index);
  /// Empties the log and begins it anew after the entry (base, base_term).
  void reset(Index base, View base_term);
  /// Begins the log after the entry (index, entry_term), up to which a snapshot was installed. Entries after it stay if
  /// the log holds that one: they may have been acknowledged. Without effect below base().
  void install(Index index, View entry_term);

  /// The last index that was forgotten.
  Index base() const
  {
    return base_;
  }

private:
  Index base_;
  View base_term_;
  std::deque<LogEntry> entries_;
};
}
