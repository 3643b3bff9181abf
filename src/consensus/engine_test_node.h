#pragma once

#include "base/check.h"
#include "consensus/engine.h"
#include "consensus/raft_log.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace concordat::consensus
{
/// A descriptor that says nothing but which one it is.
inline Descriptor batch(std::uint64_t number)
{
  Descriptor out{number, number, 100, {}};
  for (std::size_t i = 0; i < 8; ++i)
    out.digest[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return out;
}

/// A node's engine with the disk under it: what is in `hard_state` and `disk` survives a crash.
struct TestNode
{
  /// What a round asked for and is not written yet.
  struct Write
  {
    std::uint64_t number = 0;
    std::optional<HardState> hard_state;
    std::vector<LogEntry> entries;
    std::vector<Message> messages;
  };

  EngineId id = 0;
  Configuration initial; ///< before the first entry
  EngineOptions options; ///< of the next start, apart from what follows from the rest
  HardState hard_state{1, 0, 0};
  RaftLog disk;
  RaftLog log; ///< as the engine reads it: ahead of the disk while writes are under way
  std::deque<Write> writes;
  std::vector<LogEntry> committed; ///< from index 1 on; applied in memory, replayed from the log after a crash
  /// Entries that entered the log since somebody emptied this, with the term before each.
  std::vector<std::pair<LogEntry, View>> fresh;
  std::vector<ReadIndex> reads;
  std::set<EngineId> stranded;
  bool slow_disk = false;         ///< goes on before its rounds are written
  bool lied_to = false;           ///< a change that cannot be made is not a mistake of ours, and breaks the node
  bool is_broken = false;         ///< by such a change: the engine cannot go on
  std::unique_ptr<Engine> engine; ///< null while down

  void start(const std::vector<EngineId>& voters, std::uint64_t seed)
  {
    initial = {.voters = voters};
    start(seed);
  }

  void start(std::uint64_t seed)
  {
    crash();
    options.id = id;
    options.configuration = configuration_at(log.base());
    options.hard_state = hard_state;
    options.applied = log.base();
    options.seed = seed;
    std::erase_if(committed, [&](const LogEntry& entry) { return entry.index > log.base(); });
    auto created = Engine::create(options, log);
    ASSERT_TRUE(created) << created.error().describe();
    engine = std::move(*created);
  }

  void crash()
  {
    engine.reset();
    writes.clear();
    log = disk;
  }

  /// As what is applied says.
  Configuration configuration_at(Index index) const
  {
    auto out = initial;
    for (const auto& entry : committed)
      if (entry.index <= index && entry.change)
        out = out.after(*entry.change).value();
    return out;
  }

  void compact(Index index)
  {
    disk.compact(index);
    log.compact(index);
  }

  /// Takes what another has applied from it, without its log. The node is to be started again.
  void install(const std::vector<LogEntry>& state)
  {
    crash();
    if (state.size() > committed.size())
      committed = state;
    disk.install(committed.back().index, committed.back().term);
    log = disk;
  }

  void apply(const std::vector<LogEntry>& entries)
  {
    for (const auto& entry : entries)
    {
      ASSERT_EQ(entry.index, committed.empty() ? log.base() + 1 : committed.back().index + 1);
      if (entry.change)
      {
        const auto expected = configuration_at(entry.index - 1).after(*entry.change);
        const auto changed = engine->apply_change(entry);
        ASSERT_EQ(changed.has_value(), expected.has_value());
        ASSERT_TRUE(changed || lied_to) << changed.error().describe();
        if (!changed)
        {
          is_broken = true;
          return;
        }
        ASSERT_EQ(*changed, *expected);
      }
      committed.push_back(entry);
    }
  }

  /// Writes all that is under way, in order; false if the node crashed at it.
  template <typename Send, typename Fails> bool write_all(Send&& send, Fails&& fails)
  {
    for (; !writes.empty(); writes.pop_front())
    {
      auto& write = writes.front();
      if (fails())
        return crash(), false;
      if (write.hard_state)
        hard_state = *write.hard_state;
      if (fails())
        return crash(), false;
      disk.append(write.entries);
      if (fails())
        return crash(), false;
      for (auto& message : write.messages)
        send(std::move(message));
    }
    return true;
  }

  /// Does all rounds of work that there are; what leaves goes to `send(Message)`. Wherever `fails()` says so, the
  /// node crashes; where `early()` says so, it goes on before the round is written.
  template <typename Send, typename Fails, typename Early> void drain(Send&& send, Fails&& fails, Early&& early)
  {
    while (engine->has_ready())
    {
      auto round = engine->ready();
      for (auto& message : round.messages)
        send(std::move(message));
      log.append(round.entries);
      for (const auto& entry : round.entries)
        fresh.emplace_back(entry, log.term(entry.index - 1).value());
      writes.push_back({round.number, round.hard_state, round.entries, std::move(round.persisted_messages)});
      const bool later = early();
      if (!later && !write_all(send, fails))
        return;
      apply(round.committed);
      if (is_broken)
        return crash();
      reads.insert(reads.end(), round.reads.begin(), round.reads.end());
      stranded.insert(round.stranded.begin(), round.stranded.end());
      if (later)
        engine->advance_early();
      else
      {
        // What advance() says of the commit index is left unwritten: it may be.
        auto more = engine->advance();
        ASSERT_TRUE(more.entries.empty() && more.persisted_messages.empty());
        for (auto& message : more.messages)
          send(std::move(message));
        apply(more.committed);
        if (is_broken)
          return crash();
      }
      if (!committed.empty())
        engine->applied(committed.back().index);
      if (testing::Test::HasFatalFailure())
        return;
    }
  }

  /// Writes what is under way, and does what follows from that.
  template <typename Send, typename Fails, typename Early> void finish_writes(Send&& send, Fails&& fails, Early&& early)
  {
    if (writes.empty())
      return;
    const auto number = writes.back().number;
    if (!write_all(send, fails))
      return;
    engine->persisted(number);
    drain(send, fails, early);
  }

  template <typename Send> void drain(Send&& send)
  {
    const auto never = [] { return false; };
    drain(send, never, never);
  }

  void drain_alone()
  {
    drain([](const Message& message) { FAIL() << "a message to node " << message.to; });
  }
};
}
