#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <iostream>

namespace concordat::consensus
{
namespace
{
/// How the whole run went, in the order in which entries were applied.
std::vector<LogEntry> disturbed_run(std::uint64_t seed)
{
  TestNetwork network(3, seed);
  network.reorder = true;
  std::uint64_t number = 0;
  for (int step = 0; step < 1500; ++step)
  {
    if (step % 300 == 0)
    {
      network.loss = network.chance(0.5) ? 0.2 : 0.02;
      network.doubling = 0.1;
    }
    network.failing = step < 1200 ? 0.001 : 0;
    if (network.chance(0.3))
      network.tick();
    const auto id = network.voters()[network.random()() % 3];
    auto& node = network.node(id);
    if (node.engine && node.engine->leads() && network.chance(0.5))
    {
      if (auto proposed = node.engine->propose(batch(++number)); !proposed)
        ADD_FAILURE() << proposed.error().describe();
      network.drain(node);
    }
    else if (!node.engine)
      network.restart(id);
    else if (network.chance(0.01))
      network.crash(id);
    else if (network.chance(0.02) && !node.committed.empty())
    {
      node.engine->applied(node.committed.back().index);
      node.compact(node.committed.back().index - network.random()() % 2);
    }
    else if (node.engine->leads() && !node.stranded.empty())
    {
      const auto stranded = *node.stranded.begin();
      node.stranded.clear();
      network.install_snapshot(stranded, node);
    }
    else if (network.chance(0.01))
      network.cut(id);
    else if (network.chance(0.01))
      network.heal();
    network.deliver(network.random()() % 8);
    if (testing::Test::HasFailure())
      return {};
  }

  // Once the network heals, everything that was agreed on reaches everyone, and work goes on.
  network.heal();
  network.loss = network.doubling = 0;
  for (const auto id : network.voters())
    if (!network.node(id).engine)
      network.restart(id);
  network.run(60);
  auto* leader = network.await_leader();
  EXPECT_NE(leader, nullptr);
  if (leader == nullptr)
    return {};
  EXPECT_TRUE(leader->engine->propose(batch(++number)));
  network.drain(*leader);
  network.run(5);
  for (const auto stranded : std::exchange(leader->stranded, {}))
    network.install_snapshot(stranded, *leader);
  network.run(5);
  for (const auto id : network.voters())
    EXPECT_EQ(network.node(id).committed, leader->committed) << "node " << id;
  EXPECT_EQ(leader->committed.back().batch, batch(number));
  return leader->committed;
}

TEST(DisturbedNetwork, AgreesUnderLossReorderingAndCrashes)
{
  const auto given = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed));
  const std::uint64_t first = given == 0 ? 1 : given;
  const std::uint64_t last = given == 0 ? 30 : given;
  std::size_t applied = 0;
  std::size_t terms = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed)
  {
    const auto committed = disturbed_run(seed);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", to be given again as --gtest_random_seed=" << seed;
    applied += committed.size();
    terms += committed.back().term - 1;
  }
  std::cout << "seeds " << first << " to " << last << ": " << applied << " entries, " << terms << " terms\n";
  if (given != 0)
    return;
  EXPECT_GT(applied, 30 * (last - first + 1)) << "a run that agrees on nothing shows nothing";
  EXPECT_GT(terms, 2 * (last - first + 1)) << "nor does one without changes of leader";
}

TEST(DisturbedNetwork, RunsTheSameWayTwiceUnderOneSeed)
{
  for (const std::uint64_t seed : {101, 102})
    EXPECT_EQ(disturbed_run(seed), disturbed_run(seed)) << "seed " << seed;
}
}
}
