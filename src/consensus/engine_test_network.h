#pragma once

#include "base/check.h"
#include "consensus/engine.h"
#include "consensus/raft_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
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

/// A node's engine with the disk under it: what is in `hard_state` and `log` survives a crash.
struct TestNode
{
  EngineId id = 0;
  HardState hard_state{1, 0, 0};
  RaftLog log;
  std::vector<LogEntry> committed; ///< applied in memory, replayed from the log after a crash
  std::vector<ReadIndex> reads;
  std::set<EngineId> stranded;
  std::unique_ptr<Engine> engine; ///< null while down

  void start(const std::vector<EngineId>& voters, std::uint64_t seed)
  {
    EngineOptions options;
    options.id = id;
    options.voters = voters;
    options.hard_state = hard_state;
    options.applied = log.base();
    options.seed = seed;
    std::erase_if(committed, [&](const LogEntry& entry) { return entry.index > log.base(); });
    auto created = Engine::create(options, log);
    ASSERT_TRUE(created) << created.error().describe();
    engine = std::move(*created);
  }

  void apply(const std::vector<LogEntry>& entries)
  {
    for (const auto& entry : entries)
    {
      ASSERT_EQ(entry.index, committed.empty() ? log.base() + 1 : committed.back().index + 1);
      committed.push_back(entry);
    }
  }

  /// Does all rounds of work that there are; what leaves goes to `send(Message)`. Wherever `fails()` says so, the
  /// node crashes.
  template <typename Send, typename Fails> void drain(Send&& send, Fails&& fails)
  {
    while (engine->has_ready())
    {
      auto round = engine->ready();
      for (auto& message : round.messages)
        send(std::move(message));
      if (fails())
        return engine.reset();
      if (round.hard_state)
        hard_state = *round.hard_state;
      if (fails())
        return engine.reset();
      log.append(round.entries);
      if (fails())
        return engine.reset();
      for (auto& message : round.persisted_messages)
        send(std::move(message));
      apply(round.committed);
      reads.insert(reads.end(), round.reads.begin(), round.reads.end());
      stranded.insert(round.stranded.begin(), round.stranded.end());
      // What advance() says of the commit index is left unwritten: it may be.
      auto more = engine->advance();
      ASSERT_TRUE(more.entries.empty() && more.persisted_messages.empty());
      for (auto& message : more.messages)
        send(std::move(message));
      apply(more.committed);
    }
  }

  template <typename Send> void drain(Send&& send)
  {
    drain(send, [] { return false; });
  }

  void drain_alone()
  {
    drain([](const Message& message) { FAIL() << "a message to node " << message.to; });
  }
};

/// Several nodes in one thread, with a network between them that loses, doubles and reorders under a seed.
class TestNetwork
{
public:
  TestNetwork(std::size_t size, std::uint64_t seed) : random_(seed), seed_(seed)
  {
    for (EngineId id = 1; id <= size; ++id)
      voters_.push_back(id);
    for (const auto id : voters_)
    {
      nodes_[id].id = id;
      restart(id);
    }
  }

  TestNode& node(EngineId id)
  {
    return nodes_.at(id);
  }
  const std::vector<EngineId>& voters() const
  {
    return voters_;
  }

  void restart(EngineId id)
  {
    nodes_.at(id).start(voters_, ++starts_ + seed_ * 1000);
  }
  void crash(EngineId id)
  {
    nodes_.at(id).engine.reset();
  }
  /// A node that is cut off runs on, but nothing reaches it or leaves it.
  void cut(EngineId id)
  {
    cut_.insert(id);
  }
  void heal()
  {
    cut_.clear();
  }

  std::uint64_t largest_batches = 0; ///< that were to travel beside one message
  /// Gives the node all that another has applied, without its log.
  void install_snapshot(EngineId id, const TestNode& source)
  {
    auto& node = nodes_.at(id);
    crash(id);
    if (source.committed.size() > node.committed.size())
      node.committed = source.committed;
    const auto& last = node.committed.back();
    node.log.install(last.index, last.term);
    restart(id);
  }

  double loss = 0;
  double doubling = 0;
  double failing = 0; ///< of a node, at each of some points of a round
  bool reorder = false;

  void tick()
  {
    for (auto& [id, node] : nodes_)
      if (node.engine)
      {
        node.engine->tick();
        drain(node);
      }
  }

  void drain(TestNode& node)
  {
    node.drain([&](Message message) { send(node.id, std::move(message)); }, [&] { return chance(failing); });
    check();
  }

  /// Delivers up to `count` messages.
  void deliver(std::size_t count = 1'000'000)
  {
    while (count-- > 0 && !flying_.empty())
    {
      if (reorder)
        std::swap(flying_.front(), flying_[random_() % flying_.size()]);
      auto [from, message] = std::move(flying_.front());
      flying_.erase(flying_.begin());
      auto& node = nodes_.at(message.to);
      if (!node.engine || cut_.contains(message.to) || cut_.contains(from))
        continue;
      const auto summary = Engine::inspect(message.bytes);
      ASSERT_TRUE(summary);
      ASSERT_EQ(summary->from, from);
      ASSERT_EQ(summary->entries, message.entries);
      auto stepped = node.engine->step(message.bytes);
      ASSERT_TRUE(stepped) << stepped.error().describe();
      drain(node);
    }
  }

  void run(std::size_t ticks)
  {
    for (std::size_t i = 0; i < ticks; ++i)
    {
      tick();
      deliver();
    }
  }

  /// The node that leads the highest term, once there is one; null if that takes too long.
  TestNode* await_leader()
  {
    for (std::size_t i = 0; i < 200; ++i)
    {
      run(1);
      TestNode* best = nullptr;
      for (auto& [id, node] : nodes_)
        if (node.engine && !cut_.contains(id) && node.engine->leads())
          if (best == nullptr || best->engine->term() < node.engine->term())
            best = &node;
      if (best != nullptr)
        return best;
    }
    return nullptr;
  }

  std::mt19937_64& random()
  {
    return random_;
  }
  bool chance(double probability)
  {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }

private:
  void send(EngineId from, Message message)
  {
    if (cut_.contains(from) || chance(loss))
      return;
    std::uint64_t batches = 0;
    for (const auto& entry : message.entries)
      batches += entry.batch ? entry.batch->length : 0;
    largest_batches = std::max(largest_batches, batches);
    if (chance(doubling))
      flying_.emplace_back(from, message);
    flying_.emplace_back(from, std::move(message));
  }

  /// What must hold at every moment: one leader in a term; what one node applied, every node applied there.
  void check()
  {
    for (auto& [id, node] : nodes_)
    {
      if (node.engine && node.engine->leads())
      {
        const auto [at, fresh] = leaders_.emplace(node.engine->term(), id);
        ASSERT_EQ(at->second, id) << "two leaders in term " << node.engine->term();
      }
      auto& seen = checked_[id];
      if (node.committed.size() < seen)
        seen = 0;
      for (; seen < node.committed.size(); ++seen)
      {
        const auto& entry = node.committed[seen];
        const auto [at, fresh] = agreed_.emplace(entry.index, entry);
        ASSERT_EQ(at->second, entry) << "node " << id << " disagrees at " << entry.index;
      }
    }
  }

  std::mt19937_64 random_;
  std::uint64_t seed_;
  std::uint64_t starts_ = 0;
  std::vector<EngineId> voters_;
  std::map<EngineId, TestNode> nodes_;
  std::vector<std::pair<EngineId, Message>> flying_;
  std::set<EngineId> cut_;
  std::map<View, EngineId> leaders_;
  std::map<Index, LogEntry> agreed_;
  std::map<EngineId, std::size_t> checked_;
};
}
