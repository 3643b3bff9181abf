#include "base/check.h"
#include "base/log.h"
#include "consensus/replica.h"

#include <algorithm>
#include <iterator>
#include <utility>

/// The rounds that follow each event, and the order of their effects.
namespace concordat::consensus
{
Result<void> Replica::drain()
{
  while (true)
  {
    while (engine_->has_ready())
      if (auto done = do_round(); !done)
        return done;
    const auto more = release_stored();
    if (!more)
      return std::unexpected(more.error());
    if (!*more)
      break;
  }
  look_whether_level();
  if (!engine_->leads())
    lose_reads();
  if (applied_ > log_.base() + 2 * options_.kept_entries)
    log_.compact(applied_ - options_.kept_entries);
  return {};
}

/// The order of effects of a round. Each step may be the last one before the power fails.
Result<void> Replica::do_round()
{
  auto round = engine_->ready();
  // 1. What depends on nothing in this round: heartbeats, and a primary's entries, which may leave before they are
  //    stored here, as their being stored here is counted only by step 3.
  send(round.messages);
  // 2. Term and vote, then entries: durable before anybody hears of them. A vote that is forgotten could be given
  //    twice, and two primaries of one view would give the same ids, and nonces, to different transactions.
  auto write = log(round);
  if (stores_elsewhere() && (!write.empty() || !unstored_.empty()))
  {
    go_on_early(round, std::move(write));
    return {};
  }
  if (!write.empty())
    if (auto stored = disk_.write_here(write); !stored)
      return stored;
  // 3. What others may count on from now on: "I have voted for you", "I have stored this".
  send(round.persisted_messages);
  // 4. What the whole of the nodes has agreed on. It was stored in an earlier round, or in this one.
  apply(round.committed);
  answer_reads(round.reads);
  // 5. The engine counts this node's own part as done only now, and may find that more is committed: a node that is
  //    alone commits here, after its fsync.
  auto more = engine_->advance();
  send(more.messages);
  apply(more.committed);
  engine_->applied(applied_);
  return {};
}

/// Steps 2 to 5 of a round that is stored elsewhere: 3 is left to `release_stored`, as is that the engine counts this
/// node's part.
void Replica::go_on_early(Ready& round, Write write)
{
  if (!write.empty())
  {
    unstored_.push_back({round.number, round.number, std::move(round.persisted_messages)});
    disk_.write(std::move(write));
  }
  else
  {
    // It needs no disk, but what it says may rest on what earlier rounds are still to store.
    auto& before = unstored_.back();
    before.round = round.number;
    std::ranges::move(round.persisted_messages, std::back_inserter(before.messages));
  }
  // The engine hands out as committed only what it was told to be stored here: nobody reads, and no writer is told of,
  // what this node could lose.
  apply(round.committed);
  answer_reads(round.reads);
  engine_->advance_early();
  engine_->applied(applied_);
}

/// What rounds have waited for that are durable now. @return whether there were any
Result<bool> Replica::release_stored()
{
  if (unstored_.empty())
    return false;
  const auto stored = disk_.stored();
  if (!stored)
    return std::unexpected(stored.error());
  std::uint64_t last = 0;
  while (!unstored_.empty() && unstored_.front().write <= *stored)
  {
    last = unstored_.front().round;
    auto messages = std::move(unstored_.front().messages);
    unstored_.pop_front();
    // 3. In the order of the rounds, and only now: see `do_round`.
    send(messages);
  }
  // 5. As late as that: what the engine counts as stored may be committed the next moment.
  if (last != 0)
    engine_->persisted(last);
  return last != 0;
}

Result<void> Replica::take_stored()
{
  return engine_ ? drain() : Result<void>{};
}

bool Replica::stores_elsewhere() const
{
  return options_.disk && (!configuration_.is_alone(id_) || is_storing());
}

void Replica::watch_disk()
{
  const auto steps = disk_.steps();
  const bool idle = disk_.is_busy() && steps == disk_steps_;
  idle_ticks_ = idle ? idle_ticks_ + 1 : 0;
  disk_steps_ = steps;
}

/// What a round promises of terms and votes.
void Replica::keep_promises(const Ready& round, Write& write)
{
  auto after = promised_;
  for (const auto& entry : round.entries)
  {
    // What is replaced was opened by a primary that was deposed before it was agreed on.
    while (!after.opened.empty() && after.opened.back().index >= entry.index)
      after.opened.pop_back();
    if (entry.batch)
      continue;
    // A start looks for them only behind the mark.
    std::erase_if(after.opened, [marked = marked_.load()](const OpenedTerm& opened) { return opened.index <= marked; });
    after.opened.push_back({entry.term, entry.index});
  }
  if (round.hard_state)
  {
    after.term = round.hard_state->term;
    after.vote = round.hard_state->vote;
  }
  if (after == promised_)
    return;
  promised_ = std::move(after);
  write.state = promised_;
}

/// Takes a round's entries into the log. @return what must be written before anybody hears of it
Write Replica::log(const Ready& round)
{
  Write write;
  write.round = round.number;
  keep_promises(round, write);
  if (round.entries.empty())
    return write;
  // The log may end with entries of a primary that was deposed before they were agreed on: others take their place.
  if (round.entries.front().index <= log_.last_index())
    write.cut_to = cut_before(round.entries.front().index);
  for (const auto& entry : round.entries)
  {
    if (invariants_)
      invariants_->logged(entry);
    if (!entry.batch)
      continue;
    auto batch = take_held(entry);
    write.batches.push_back(batch);
    bytes_in_flight_ += entry.batch->length;
    in_flight_[entry.index] = std::move(batch);
  }
  // The engine reads its log back from here on, and counts on its being stored only when it is told so.
  log_.append(round.entries);
  return write;
}

std::shared_ptr<const Batch> Replica::take_held(const LogEntry& entry)
{
  const auto same = [&](const std::shared_ptr<const Batch>& batch) { return batch->descriptor == *entry.batch; };
  const auto held = std::ranges::find_if(held_, same);
  CHECK(held != held_.end(), "the engine appends what was proposed, or came with its message");
  auto batch = *held;
  held_.erase(held);
  // A later primary has found what an earlier one had replaced here: those who wait for it still do.
  const auto [begin, end] = replaced_.equal_range(entry.index);
  for (auto at = begin; at != end; ++at)
    if (same(at->second))
    {
      batch = std::move(at->second);
      replaced_.erase(at);
      break;
    }
  return batch;
}

/// @return the seqno behind which the ledger is cut
Seqno Replica::cut_before(Index index)
{
  CHECK(index > applied_, "what is committed is never replaced");
  auto last = applied_seqno_;
  for (auto at = applied_ + 1; at < index; ++at)
    if (const auto entry = log_.entry(at); entry.batch)
      last = entry.batch->last;
  for (auto at = in_flight_.lower_bound(index); at != in_flight_.end(); at = in_flight_.erase(at))
  {
    bytes_in_flight_ -= at->second->descriptor.length;
    // Replaced here is not yet replaced everywhere: a node that holds it may still be elected, and commit it. Who waits
    // for it is told once something else is committed in its place.
    if (at->second->is_own())
      replaced_.emplace(at->first, std::move(at->second));
  }
  if (invariants_)
    invariants_->replaced(index);
  return last;
}

void Replica::apply(const std::vector<LogEntry>& committed)
{
  for (const auto& entry : committed)
  {
    CHECK(entry.index == applied_ + 1, "entries are committed in order, each once");
    applied_ = entry.index;
    archive_.note(entry);
    if (!entry.batch)
      continue;
    if (entry.change)
    {
      auto after = engine_->apply_change(entry);
      CHECK(after, "a majority agrees on changes that can be made");
      configuration_ = std::move(*after);
      spdlog::info("who agrees has changed: {}", configuration_.describe());
    }
    auto found = in_flight_.extract(entry.index);
    CHECK(!found.empty() && found.mapped()->descriptor == *entry.batch, "what is committed was stored");
    applied_seqno_ = entry.batch->last;
    bytes_in_flight_ -= entry.batch->length;
    if (invariants_)
      invariants_->committed(entry.index, found.mapped()->signature_txid);
    events_.committed(found.mapped());
  }
  tell_lost();
  while (!reads_.empty() && reads_.begin()->first <= applied_)
  {
    const auto token = reads_.begin()->second;
    reads_.erase(reads_.begin());
    if (events_.read)
      events_.read(token, true);
  }
}

/// Something else is committed where they stood.
void Replica::tell_lost()
{
  const auto end = replaced_.upper_bound(applied_);
  std::vector<std::shared_ptr<const Batch>> lost;
  for (auto at = replaced_.begin(); at != end; at = replaced_.erase(at))
    lost.push_back(std::move(at->second));
  if (!lost.empty() && events_.lost)
    events_.lost(lost);
}

void Replica::answer_reads(const std::vector<ReadIndex>& reads)
{
  for (const auto& [token, index] : reads)
    if (asked_.erase(token) != 0)
      reads_.emplace(index, token);
  apply({});
}

void Replica::lose_reads()
{
  // Those in `reads_` were confirmed: the index stands, whoever leads now. Without an engine nothing is applied any
  // more.
  auto lost = std::exchange(asked_, {});
  if (!engine_)
  {
    for (const auto& [index, token] : reads_)
      lost.insert(token);
    reads_.clear();
  }
  if (events_.read)
    for (const auto token : lost)
      events_.read(token, false);
}

void Replica::send(std::vector<Message>& messages)
{
  CHECK(messages.empty() || outbox_, "a node that is alone has nobody to write to");
  for (auto& message : messages)
    outbox_->send(std::move(message));
  messages.clear();
}
}
