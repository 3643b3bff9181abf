#pragma once

#include "consensus/engine_test_node.h"

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace concordat::consensus
{
/// Several nodes in one thread, with a network between them that loses, doubles and reorders under a seed. What must
/// hold at every moment is checked after every event.
class TestNetwork
{
  // First, as their types are deduced.
  auto sender(TestNode& node)
  {
    return [this, &node](Message message) { send(node.id, std::move(message)); };
  }
  auto crashes()
  {
    return [this] { return chance(failing); };
  }
  auto earlies(const TestNode& node)
  {
    return [this, &node] { return node.slow_disk || chance(early); };
  }

public:
  /// @param options  of every node; what follows from its state is put in
  TestNetwork(std::size_t size, std::uint64_t seed, EngineOptions options = {})
      : options_(std::move(options)),
        random_(seed),
        seed_(seed)
  {
    for (EngineId id = 1; id <= size; ++id)
      voters_.push_back(id);
    for (const auto id : voters_)
      add(id);
  }

  /// A further node with an empty log, which knows who began.
  TestNode& add(EngineId id)
  {
    auto& node = nodes_[id];
    node.id = id;
    node.initial = {.voters = voters_};
    node.options = options_;
    restart(id);
    return node;
  }

  TestNode& node(EngineId id)
  {
    return nodes_.at(id);
  }
  const std::map<EngineId, TestNode>& nodes() const
  {
    return nodes_;
  }
  /// Those who began.
  const std::vector<EngineId>& voters() const
  {
    return voters_;
  }

  void restart(EngineId id)
  {
    nodes_.at(id).start(++starts_ + seed_ * 1000);
  }
  void crash(EngineId id)
  {
    nodes_.at(id).crash();
  }
  /// A node that is cut off runs on, but nothing reaches it or leaves it.
  void cut(EngineId id)
  {
    cut_.insert(id);
  }
  /// One way only.
  void block(EngineId from, EngineId to)
  {
    blocked_.emplace(from, to);
  }
  void heal()
  {
    cut_.clear();
    blocked_.clear();
  }

  std::uint64_t largest_batches = 0; ///< that were to travel beside one message
  /// Gives the node all that another has applied, without its log.
  void install_snapshot(EngineId id, const TestNode& source)
  {
    nodes_.at(id).install(source.committed);
    restart(id);
  }

  double loss = 0;
  double doubling = 0;
  double failing = 0; ///< of a node, at each of some points of a round
  double early = 0;   ///< that a node goes on before a round is written
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
    node.drain(sender(node), crashes(), earlies(node));
    check(node);
  }

  void finish_writes(TestNode& node)
  {
    node.finish_writes(sender(node), crashes(), earlies(node));
    check(node);
  }

  /// Delivers up to `count` messages.
  void deliver(std::size_t count = 1'000'000)
  {
    while (count-- > 0 && !flying_.empty() && !testing::Test::HasFatalFailure())
    {
      if (reorder)
        std::swap(flying_.front(), flying_[random_() % flying_.size()]);
      auto [from, message] = std::move(flying_.front());
      flying_.erase(flying_.begin());
      auto& node = nodes_.at(message.to);
      if (!node.engine || cut_.contains(message.to) || cut_.contains(from) || blocked_.contains({from, message.to}))
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

  /// The node that leads the highest term; null if there is none.
  TestNode* leader()
  {
    TestNode* best = nullptr;
    for (auto& [id, node] : nodes_)
      if (node.engine && !cut_.contains(id) && node.engine->leads())
        if (best == nullptr || best->engine->term() < node.engine->term())
          best = &node;
    return best;
  }

  /// The same, once there is one; null if that takes too long.
  TestNode* await_leader()
  {
    for (std::size_t i = 0; i < 200; ++i)
    {
      run(1);
      if (auto* const best = leader())
        return best;
    }
    return nullptr;
  }

  void propose(TestNode& node, std::uint64_t number)
  {
    const auto proposed = node.engine->propose(batch(number));
    ASSERT_TRUE(proposed) << proposed.error().describe();
    drain(node);
    deliver();
  }

  void change(TestNode& node, std::uint64_t number, const ConfigurationChange& change)
  {
    const auto proposed = node.engine->propose_change(batch(number), change);
    ASSERT_TRUE(proposed) << proposed.error().describe();
    drain(node);
    deliver();
  }

  std::mt19937_64& random()
  {
    return random_;
  }
  bool chance(double probability)
  {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }
  std::size_t flying() const
  {
    return flying_.size();
  }
  /// Terms that had a leader.
  std::size_t elections() const
  {
    return leaders_.size();
  }

private:
  void send(EngineId from, Message message)
  {
    if (cut_.contains(from) || !nodes_.contains(message.to) || chance(loss))
      return;
    std::uint64_t batches = 0;
    for (const auto& entry : message.entries)
      batches += entry.batch ? entry.batch->length : 0;
    largest_batches = std::max(largest_batches, batches);
    if (chance(doubling))
      flying_.emplace_back(from, message);
    flying_.emplace_back(from, std::move(message));
  }

  void check(TestNode& node)
  {
    check_log(node);
    check_committed(node);
    if (!node.engine)
      return;
    if (node.engine->leads())
      check_leader(node);
    const auto applied = node.committed.empty() ? node.log.base() : node.committed.back().index;
    const auto configuration = node.engine->configuration();
    const auto [at, fresh] = configurations_.emplace(applied, configuration);
    ASSERT_EQ(at->second, configuration) << "node " << node.id << " after entry " << applied;
  }

  /// One leader in a term, which has all that was committed in terms before.
  void check_leader(const TestNode& node)
  {
    const auto term = node.engine->term();
    const auto [at, fresh] = leaders_.emplace(term, node.id);
    ASSERT_EQ(at->second, node.id) << "two leaders in term " << term;
    if (!fresh)
      return;
    for (auto agreed = agreed_.upper_bound(node.log.base()); agreed != agreed_.end(); ++agreed)
    {
      const auto& [entry, committed_by] = agreed->second;
      if (committed_by >= term)
        continue;
      ASSERT_GE(node.log.last_index(), entry.index) << "node " << node.id << " leads without what is committed";
      ASSERT_EQ(node.log.entry(entry.index), entry) << "node " << node.id << " leads with another log";
    }
  }

  /// Entries of one place and term are the same everywhere, and follow the same; one change at most is not committed.
  void check_log(TestNode& node)
  {
    for (const auto& logged : std::exchange(node.fresh, {}))
    {
      const auto& entry = logged.first;
      const auto [at, fresh] = logged_.emplace(std::pair(entry.index, entry.term), logged);
      ASSERT_EQ(at->second, logged) << "node " << node.id << " has another log at " << entry.index;
    }
    if (!node.engine)
      return;
    std::size_t changes = 0;
    for (auto index = std::max(node.engine->commit(), node.log.base()) + 1; index <= node.log.last_index(); ++index)
      changes += node.log.entry(index).change ? 1 : 0;
    ASSERT_LE(changes, 1U) << "node " << node.id << " could campaign two steps behind";
  }

  /// What one node applied, every node applies there.
  void check_committed(const TestNode& node)
  {
    const auto term = node.engine ? node.engine->term() : std::numeric_limits<View>::max();
    auto& seen = checked_[node.id];
    if (node.committed.size() < seen)
      seen = 0;
    for (; seen < node.committed.size(); ++seen)
    {
      const auto& entry = node.committed[seen];
      const auto [at, fresh] = agreed_.emplace(entry.index, std::pair(entry, term));
      ASSERT_EQ(at->second.first, entry) << "node " << node.id << " disagrees at " << entry.index;
    }
  }

  EngineOptions options_;
  std::mt19937_64 random_;
  std::uint64_t seed_;
  std::uint64_t starts_ = 0;
  std::vector<EngineId> voters_;
  std::map<EngineId, TestNode> nodes_;
  std::vector<std::pair<EngineId, Message>> flying_;
  std::set<EngineId> cut_;
  std::set<std::pair<EngineId, EngineId>> blocked_;
  std::map<View, EngineId> leaders_;
  std::map<Index, std::pair<LogEntry, View>> agreed_; ///< with a term in which it was committed at the latest
  std::map<Index, Configuration> configurations_;
  std::map<std::pair<Index, View>, std::pair<LogEntry, View>> logged_;
  std::map<EngineId, std::size_t> checked_;
};
}
