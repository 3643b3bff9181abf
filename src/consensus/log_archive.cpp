#include "consensus/log_archive.h"

#include "base/log.h"
#include "base/mutex.h"

#include <deque>
#include <utility>
#include <vector>

namespace concordat::consensus
{
namespace
{
/// Runs of entries that are kept, some hundred kilobytes each: as many nodes may catch up at once.
constexpr std::size_t kept_runs = 4;
/// So near to its end, a run has the next one read.
constexpr Index ahead = 512;
}

/// Shared with the job that reads, which may never get its turn.
struct LogArchive::Work
{
  explicit Work(Read reader) : read(std::move(reader)) {}

  void run(const LedgerSpan& span) EXCLUDES(mutex)
  {
    {
      const base::LockGuard lock(mutex);
      if (closed)
        return;
    }
    auto found = read_log(span, read);
    if (!found)
      spdlog::warn("entry {} of the log is not read from the ledger: {}", span.first, found.error().describe());
    const base::LockGuard lock(mutex);
    reading = false;
    if (!found)
      return;
    runs.push_back(std::move(*found));
    if (runs.size() > kept_runs)
      runs.pop_front();
  }

  void end() EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    reading = false;
  }

  const Read read;
  base::Mutex mutex;
  std::deque<std::vector<LogEntry>> runs GUARDED_BY(mutex); ///< none is empty
  bool reading GUARDED_BY(mutex) = false;
  bool closed GUARDED_BY(mutex) = false;
};

LogArchive::LogArchive(const RaftLog& recent, LogPlaces places, Read read, base::Executor* elsewhere)
    : recent_(recent),
      places_(std::move(places)),
      work_(std::make_shared<Work>(std::move(read))),
      elsewhere_(elsewhere)
{
}

LogArchive::~LogArchive()
{
  const base::LockGuard lock(work_->mutex);
  work_->closed = true;
}

void LogArchive::note(const LogEntry& entry)
{
  if (entry.index > places_.last())
    places_.note(entry.index, entry.term, entry.batch ? entry.batch->first : 0);
}

/// Without a gap up to what is in memory.
bool LogArchive::reaches_back() const
{
  const auto first = places_.first();
  return first != 0 && first <= recent_.base() && places_.last() >= recent_.base() &&
         places_.term(first - 1).has_value();
}

Index LogArchive::first_index() const
{
  return reaches_back() ? places_.first() : recent_.first_index();
}

Index LogArchive::last_index() const
{
  return recent_.last_index();
}

std::optional<View> LogArchive::term(Index index) const
{
  if (index >= recent_.base() || !reaches_back() || index + 1 < places_.first())
    return recent_.term(index);
  return places_.term(index);
}

std::optional<LogEntry> LogArchive::read(Index index) const
{
  if (index > recent_.base())
    return recent_.read(index);
  for (const bool again : {false, true})
  {
    std::optional<LogEntry> found;
    Index next = index;
    {
      const base::LockGuard lock(work_->mutex);
      for (const auto& run : work_->runs)
      {
        if (index >= run.front().index && index <= run.back().index)
          found = run[index - run.front().index];
        if (next >= run.front().index && next <= run.back().index)
          next = run.back().index + 1;
      }
    }
    if (next <= recent_.base() && next < index + ahead)
      fetch(next);
    // Read here, it is there already.
    if (found || again || elsewhere_)
      return found;
  }
  return std::nullopt;
}

void LogArchive::fetch(Index index) const
{
  const auto place = places_.before(index);
  if (!place)
    return;
  {
    const base::LockGuard lock(work_->mutex);
    if (std::exchange(work_->reading, true))
      return;
  }
  const LedgerSpan span{.from = *place, .first = index, .last = places_.last()};
  if (!elsewhere_)
    return work_->run(span);
  base::Job job;
  job.run = [work = work_, span] { work->run(span); };
  job.refuse = [work = work_](base::Refusal) { work->end(); };
  if (!elsewhere_->submit(std::move(job)))
    work_->end();
}
}
