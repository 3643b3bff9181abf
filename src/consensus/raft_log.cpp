#include "consensus/raft_log.h"

#include "base/check.h"

namespace concordat::consensus
{
RaftLog::RaftLog(Index base, View base_term) : base_(base), base_term_(base_term)
{
  CHECK((base == 0) == (base_term == 0), "only the position before the first entry has no term");
}

Index RaftLog::first_index() const
{
  return base_ + 1;
}

Index RaftLog::last_index() const
{
  return base_ + entries_.size();
}

std::optional<View> RaftLog::term(Index index) const
{
  if (index == base_)
    return base_term_;
  if (index < base_ || index > last_index())
    return std::nullopt;
  return entries_[index - base_ - 1].term;
}

std::optional<LogEntry> RaftLog::read(Index index) const
{
  return entry(index);
}

LogEntry RaftLog::entry(Index index) const
{
  CHECK(index > base_ && index <= last_index(), "callers ask within the bounds that the log states");
  return entries_[index - base_ - 1];
}

void RaftLog::append(std::span<const LogEntry> entries)
{
  if (entries.empty())
    return;
  const Index first = entries.front().index;
  CHECK(first > base_ && first <= last_index() + 1, "entries follow what is there, and what is forgotten is committed");
  entries_.resize(first - base_ - 1);
  for (const auto& entry : entries)
  {
    CHECK(entry.index == last_index() + 1, "entries of one append follow each other");
    CHECK(entry.term >= *term(last_index()), "terms never go down in a log");
    entries_.push_back(entry);
  }
}

void RaftLog::compact(Index index)
{
  CHECK(index <= last_index(), "only entries that exist can be forgotten");
  if (index <= base_)
    return;
  base_term_ = entries_[index - base_ - 1].term;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(index - base_));
  base_ = index;
}

void RaftLog::reset(Index base, View base_term)
{
  *this = RaftLog(base, base_term);
}

void RaftLog::install(Index index, View entry_term)
{
  if (index <= base_)
    return;
  if (term(index) == entry_term)
    compact(index);
  else
    reset(index, entry_term);
}
}
