#pragma once

#include "base/worker_pool.h"
#include "consensus/log_places.h"
#include "consensus/raft_log.h"

#include <functional>
#include <memory>

namespace concordat::consensus
{
/// The whole log as the engine reads it: what is in memory, and before that what the ledger tells, for a node that has
/// been away for long.
///
/// Belongs to the consensus thread, which never waits for the ledger: what is not at hand is read elsewhere, and is
/// there when the engine asks again.
class LogArchive : public LogReader
{
public:
  using Read = std::function<Result<std::string>(Seqno)>;

  /// @param recent     outlives it
  /// @param read       one committed entry of the ledger; any thread
  /// @param elsewhere  where the ledger is read; null: here. Stopped before what `read` needs goes
  LogArchive(const RaftLog& recent, LogPlaces places, Read read, base::Executor* elsewhere);
  ~LogArchive() override;

  /// The next committed entry.
  void note(const LogEntry& entry);

  Index first_index() const override;
  Index last_index() const override;
  std::optional<View> term(Index index) const override;
  std::optional<LogEntry> read(Index index) const override;

private:
  struct Work;
  bool reaches_back() const;
  void fetch(Index index) const;

  const RaftLog& recent_;
  LogPlaces places_;
  const std::shared_ptr<Work> work_;
  base::Executor* const elsewhere_;
};
}
