#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <iostream>

namespace concordat::consensus
{
namespace
{
constexpr EngineId nodes = 7;

struct Seen
{
  std::size_t entries = 0;
  std::size_t elections = 0;
  std::size_t changes = 0;
  std::size_t joint = 0;
  std::size_t transfers = 0;
  std::size_t snapshots = 0;
  std::size_t without_a_vote = 0; ///< leaders that a change took the vote from
};

/// Three voters, and four nodes that come and go. What must hold is checked by the network after every event.
class ChangingNetwork
{
public:
  explicit ChangingNetwork(std::uint64_t seed) : network_(3, seed, options())
  {
    for (EngineId id = 4; id <= nodes; ++id)
      network_.add(id);
    network_.reorder = true;
  }

  Seen run(int steps)
  {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step)
    {
      if (step % 400 == 0)
      {
        network_.loss = network_.chance(0.3) ? 0.2 : 0.01;
        network_.doubling = 0.05;
        network_.early = network_.chance(0.5) ? 0.5 : 0;
        network_.failing = step < steps - 400 ? 0.0005 : 0;
      }
      if (network_.chance(0.25))
        network_.tick();
      act(network_.node(1 + network_.random()() % nodes));
      const auto* const leader = network_.leader();
      network_.deliver(network_.random()() % 12);
      if (leader != nullptr && leader->engine && leader->engine->role() != Role::voter)
        ++seen_.without_a_vote;
    }
    if (!testing::Test::HasFailure())
      settle();
    return seen_;
  }

private:
  static EngineOptions options()
  {
    EngineOptions out;
    out.max_inflight_messages = 8;
    out.max_message_entries = 16;
    return out;
  }

  void act(TestNode& node)
  {
    if (!node.engine)
    {
      if (!network_.chance(0.3))
        return;
      // What a node knew to be committed it may have forgotten.
      if (network_.chance(0.5))
        node.hard_state.commit = 0;
      return network_.restart(node.id);
    }
    if (!node.writes.empty() && network_.chance(0.5))
      return network_.finish_writes(node);
    if (node.engine->leads() && network_.chance(0.7))
      return lead(node);
    const auto dice = network_.random()() % 1000;
    if (dice < 8)
      network_.crash(node.id);
    else if (dice < 16)
      network_.cut(node.id);
    else if (dice < 24)
      network_.block(node.id, 1 + network_.random()() % nodes);
    else if (dice < 50)
      network_.heal();
    else if (dice < 60 && !node.committed.empty())
      // A log may forget what is applied.
      node.compact(node.committed.back().index - network_.random()() % 2);
  }

  void lead(TestNode& node)
  {
    const auto dice = network_.random()() % 100;
    if (!node.stranded.empty() && dice < 30)
    {
      const auto id = *node.stranded.begin();
      node.stranded.clear();
      ++seen_.snapshots;
      network_.install_snapshot(id, node);
    }
    else if (dice < 40)
      propose_change(node);
    else if (dice < 44)
    {
      if (node.engine->transfer_leadership(1 + network_.random()() % nodes))
        ++seen_.transfers;
      network_.drain(node);
    }
    else
    {
      (void)node.engine->propose(batch(++number_));
      network_.drain(node);
    }
  }

  void propose_change(TestNode& node)
  {
    const auto now = node.engine->configuration();
    ConfigurationChange change;
    if (!now.joint())
      for (auto more = network_.chance(0.5) ? 1 : 2 + network_.random()() % 3; more > 0; --more)
        change.members.push_back({1 + network_.random()() % nodes, static_cast<Role>(network_.random()() % 3)});
    change.joint_alone = change.members.size() == 1 && network_.chance(0.5);
    const auto next = now.after(change);
    // One voter alone would end most of what there is to see.
    if (next && next->voters.size() == 1 && network_.chance(0.9))
      return;
    const auto proposed = node.engine->propose_change(batch(++number_), change);
    ASSERT_TRUE(!proposed || next);
    if (proposed)
    {
      ++seen_.changes;
      seen_.joint += change.leaves_joint() ? 1 : 0;
    }
    network_.drain(node);
  }

  /// Once the network heals, a leader is found, finishes what is open, and all members get the same.
  void settle()
  {
    network_.heal();
    network_.loss = network_.doubling = network_.early = network_.failing = 0;
    for (EngineId id = 1; id <= nodes; ++id)
      if (auto& node = network_.node(id); !node.engine)
        network_.restart(id);
      else
        network_.finish_writes(node);
    bool joint = true;
    for (int round = 0; round < 10 && joint; ++round)
    {
      network_.run(40);
      auto* const leader = network_.await_leader();
      ASSERT_NE(leader, nullptr);
      for (const auto id : std::exchange(leader->stranded, {}))
        network_.install_snapshot(id, *leader);
      joint = leader->engine->configuration().joint();
      if (joint)
      {
        (void)leader->engine->propose_change(batch(++number_), {});
        network_.drain(*leader);
      }
    }
    ASSERT_FALSE(joint);
    network_.run(30);
    auto* const leader = network_.await_leader();
    ASSERT_NE(leader, nullptr);
    network_.propose(*leader, ++number_);
    network_.run(5);
    for (const auto id : std::exchange(leader->stranded, {}))
      network_.install_snapshot(id, *leader);
    network_.run(10);
    ASSERT_EQ(leader->committed.back().batch, batch(number_));
    const auto configuration = leader->engine->configuration();
    for (EngineId id = 1; id <= nodes; ++id)
      if (configuration.role(id) != Role::none)
      {
        EXPECT_EQ(network_.node(id).committed, leader->committed) << "node " << id;
        EXPECT_EQ(network_.node(id).engine->configuration(), configuration);
      }
    seen_.entries = leader->committed.size();
    seen_.elections = network_.elections();
  }

  TestNetwork network_;
  std::uint64_t number_ = 0;
  Seen seen_;
};

TEST(ChangingNetwork, AgreesWhileNodesComeAndGo)
{
  const auto given = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed));
  const std::uint64_t first = given == 0 ? 1 : given;
  const std::uint64_t last = given == 0 ? 30 : given;
  Seen all;
  for (std::uint64_t seed = first; seed <= last; ++seed)
  {
    const auto seen = ChangingNetwork(seed).run(3000);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", to be given again as --gtest_random_seed=" << seed;
    all.entries += seen.entries;
    all.elections += seen.elections;
    all.changes += seen.changes;
    all.joint += seen.joint;
    all.transfers += seen.transfers;
    all.snapshots += seen.snapshots;
    all.without_a_vote += seen.without_a_vote;
  }
  std::cout << "seeds " << first << " to " << last << ": " << all.entries << " entries, " << all.elections
            << " elections, " << all.changes << " changes, " << all.joint << " joint configurations left, "
            << all.transfers << " transfers, " << all.snapshots << " snapshots, " << all.without_a_vote
            << " leaders without a vote\n";
  if (given != 0)
    return;
  const auto runs = last - first + 1;
  EXPECT_GT(all.entries, 100 * runs) << "a run that agrees on nothing shows nothing";
  EXPECT_GT(all.elections, 5 * runs);
  EXPECT_GT(all.changes, 5 * runs);
  EXPECT_GT(all.joint, 2 * runs);
  EXPECT_GT(all.transfers, 2 * runs);
  EXPECT_GT(all.snapshots, runs / 2);
  EXPECT_GT(all.without_a_vote, runs / 2);
}
}
}
