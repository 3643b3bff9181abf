#include "consensus/log_places.h"

#include "consensus/log_record.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

#include <algorithm>

namespace concordat::consensus
{
void LogPlaces::note(Index index, View term, Seqno first_seqno)
{
  if (index != last_ + 1 && last_ != 0)
  {
    places_.clear();
    terms_.clear();
  }
  last_ = index;
  if (terms_.empty() || terms_.back().second != term)
    terms_.emplace_back(index, term);
  if (first_seqno == 0)
    return;
  const bool far =
      places_.empty() || index >= places_.back().index + stride_ || first_seqno >= places_.back().seqno + seqno_stride_;
  if (!far)
    return;
  places_.push_back({index, first_seqno});
  if (places_.size() <= most_)
    return;
  // The first one stays: how far back a node may lag does not change.
  for (std::size_t at = 1; 2 * at < places_.size(); ++at)
    places_[at] = places_[2 * at];
  places_.resize((places_.size() + 1) / 2);
  stride_ *= 2;
  seqno_stride_ *= 2;
}

std::optional<View> LogPlaces::term(Index index) const
{
  if (index == 0)
    return first() == 1 ? std::optional<View>(0) : std::nullopt;
  if (index > last_ || terms_.empty() || index < terms_.front().first)
    return std::nullopt;
  const auto after = std::ranges::upper_bound(terms_, index, {}, &std::pair<Index, View>::first);
  return std::prev(after)->second;
}

std::optional<LogPlaces::Place> LogPlaces::before(Index index) const
{
  const auto after = std::ranges::upper_bound(places_, index, {}, &Place::index);
  if (after == places_.begin() || index > last_)
    return std::nullopt;
  return *std::prev(after);
}

namespace
{
struct ReadBatch
{
  View view = 0;
  Descriptor descriptor;
  std::optional<LogRecord> record;
};

std::unexpected<Error> unknown(Seqno seqno, const char* why)
{
  return fail(
      ErrorCode::corrupt,
      "transaction " + std::to_string(seqno) + " of the ledger does not say where it stands: " + why);
}

Result<ReadBatch> read_batch(Seqno first, const std::function<Result<std::string>(Seqno)>& read)
{
  ReadBatch out;
  out.descriptor.first = first;
  for (auto seqno = first;; ++seqno)
  {
    const auto bytes = read(seqno);
    if (!bytes)
      return std::unexpected(bytes.error());
    const auto entry = ledger::parse_entry(*bytes);
    if (!entry)
      return std::unexpected(entry.error());
    kv::WriteSet writes;
    if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, writes); !decoded)
      return std::unexpected(decoded.error());
    out.descriptor.length += bytes->size();
    if (const auto table = writes.find(LogRecord::table); table != writes.end())
    {
      const auto value = table->second.find(ledger::single_key);
      if (value != table->second.end() && value->second)
      {
        auto record = LogRecord::from_json(*value->second);
        if (!record)
          return std::unexpected(record.error());
        out.record = std::move(*record);
      }
    }
    if (!writes.contains(ledger::signatures_table))
      continue;
    out.view = entry->txid.view;
    out.descriptor.last = seqno;
    out.descriptor.digest = entry->leaf();
    return out;
  }
}
}

Result<std::vector<LogEntry>> read_log(const LedgerSpan& span, const std::function<Result<std::string>(Seqno)>& read)
{
  std::vector<LogEntry> out;
  const auto add = [&](LogEntry entry)
  {
    if (entry.index >= span.first && out.size() < span.most)
      out.push_back(std::move(entry));
  };
  auto next = span.from.index;
  std::uint64_t transactions = 0;
  for (auto seqno = span.from.seqno; next <= span.last && out.size() < span.most;)
  {
    const auto batch = read_batch(seqno, read);
    // The log may end with terms that were opened behind the last batch: only the next one will tell of them.
    if (!batch && !out.empty())
      break;
    if (!batch)
      return std::unexpected(batch.error());
    const auto& record = batch->record;
    const auto at = record && record->index != 0 ? record->index : next;
    if (at < next)
      return unknown(seqno, "it goes back in the log");
    // Terms that were opened without a batch of their own are told by the batch that comes after.
    for (; next < at; ++next)
    {
      const auto opened = std::ranges::find(record->opened, next, &OpenedTerm::index);
      if (opened == record->opened.end())
        return unknown(seqno, "a term that was opened before it is not named");
      add({next, opened->term, {}, {}});
    }
    if (next > span.last)
      break;
    add({next, batch->view, batch->descriptor, record ? record->change : std::nullopt});
    ++next;
    if (!out.empty())
      transactions += batch->descriptor.last + 1 - seqno;
    if (transactions > span.most_transactions)
      break;
    seqno = batch->descriptor.last + 1;
  }
  if (out.empty())
    return unknown(span.from.seqno, "the log is not as long as it was");
  return out;
}
}
