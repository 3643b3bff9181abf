#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
namespace
{
/// One network of three with a leader and two others.
struct ThreeVoters : testing::Test
{
  TestNetwork network{3, 1};
  TestNode* leader = nullptr;
  TestNode* first = nullptr;
  TestNode* second = nullptr;

  void SetUp() override
  {
    leader = network.await_leader();
    ASSERT_NE(leader, nullptr);
    for (const auto id : network.voters())
      if (id != leader->id)
        (first == nullptr ? first : second) = &network.node(id);
    network.run(3);
  }

  void propose(TestNode& node, std::uint64_t number)
  {
    network.propose(node, number);
  }
};

TEST_F(ThreeVoters, CommitWhatTheLeaderProposes)
{
  propose(*leader, 1);
  EXPECT_EQ(leader->committed.back().batch, batch(1));
  EXPECT_EQ(first->committed, leader->committed);
  EXPECT_EQ(second->committed, leader->committed);
  EXPECT_EQ(first->engine->leader(), leader->id);
}

TEST_F(ThreeVoters, RefuseAProposalToAFollower)
{
  const auto refused = first->engine->propose(batch(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(first->engine->has_ready()) << "nothing is forwarded";
}

TEST_F(ThreeVoters, CommitNothingWithoutAMajority)
{
  network.cut(first->id);
  network.cut(second->id);
  const auto before = leader->committed.size();
  propose(*leader, 1);
  network.run(5);
  EXPECT_EQ(leader->committed.size(), before);
}

TEST_F(ThreeVoters, ALeaderThatIsCutOffStepsDown)
{
  network.cut(leader->id);
  network.run(25);
  EXPECT_FALSE(leader->engine->leads());
}

TEST_F(ThreeVoters, ReplaceWhatALostLeaderCouldNotCommit)
{
  auto* const old = leader;
  network.cut(old->id);
  propose(*old, 1001);
  propose(*old, 1002);
  const auto lost = old->log.last_index();
  auto* const fresh = network.await_leader();
  ASSERT_NE(fresh, nullptr);
  ASSERT_NE(fresh, old);
  EXPECT_GT(fresh->engine->term(), 2U);
  propose(*fresh, 1);
  propose(*fresh, 2);
  ASSERT_EQ(fresh->committed.back().batch, batch(2));

  network.heal();
  network.run(30);
  EXPECT_GE(old->log.last_index(), lost);
  EXPECT_EQ(old->committed, fresh->committed);
  for (Index i = 1; i <= old->log.last_index(); ++i)
    EXPECT_EQ(old->log.entry(i), fresh->log.entry(i));
  for (const auto& entry : fresh->committed)
    EXPECT_TRUE(!entry.batch || entry.batch->first < 1000);
}

TEST_F(ThreeVoters, ALaggingFollowerCatchesUp)
{
  network.cut(first->id);
  for (std::uint64_t i = 1; i <= 5000; ++i)
    propose(*leader, i);
  EXPECT_LT(first->committed.size(), 10U);
  network.heal();
  network.run(10);
  EXPECT_EQ(first->committed, leader->committed);
  EXPECT_GT(first->committed.size(), 5000U);
}

TEST_F(ThreeVoters, OneMessageAsksForAboutAMegabyteOfBatchesAtMost)
{
  network.cut(first->id);
  for (std::uint64_t i = 1; i <= 50; ++i)
  {
    auto large = batch(i);
    large.length = 300'000;
    ASSERT_TRUE(leader->engine->propose(large));
    network.drain(*leader);
    network.deliver();
  }
  network.heal();
  network.run(10);
  EXPECT_EQ(first->committed, leader->committed);
  EXPECT_LE(network.largest_batches, std::uint64_t{1} << 20);
  EXPECT_GT(network.largest_batches, 600'000U) << "entries are sent together while they fit";
}

TEST_F(ThreeVoters, AFollowerBehindTheLogNeedsASnapshotAndGoesOnFromThere)
{
  network.crash(first->id);
  for (std::uint64_t i = 1; i <= 20; ++i)
    propose(*leader, i);
  for (auto* node : {leader, second})
    node->compact(15);
  network.restart(first->id);
  network.run(5);
  EXPECT_TRUE(leader->stranded.contains(first->id));
  EXPECT_LT(first->committed.size(), 15U);

  // A snapshot from elsewhere puts the node at entry 18.
  first->install({leader->committed.begin(), leader->committed.begin() + 18});
  network.restart(first->id);
  leader->stranded.clear();
  network.run(5);
  propose(*leader, 21);
  EXPECT_EQ(first->committed, leader->committed);
  EXPECT_TRUE(leader->stranded.empty());
}

TEST_F(ThreeVoters, AReadIndexWaitsForAMajority)
{
  propose(*leader, 1);
  ASSERT_TRUE(leader->engine->read_index(77));
  leader->drain([](const Message&) {});
  EXPECT_TRUE(leader->reads.empty());
  network.run(2);
  EXPECT_EQ(leader->reads, (std::vector<ReadIndex>{{77, leader->committed.back().index}}));
  EXPECT_EQ(first->engine->read_index(78).error().code, ErrorCode::unavailable);
}

TEST_F(ThreeVoters, ALeaderThatIsCutOffAnswersNoReadIndex)
{
  network.cut(leader->id);
  ASSERT_TRUE(leader->engine->read_index(77));
  network.drain(*leader);
  network.run(40);
  network.heal();
  network.run(40);
  EXPECT_TRUE(leader->reads.empty());
}

TEST_F(ThreeVoters, ARestartedFollowerKeepsItsVoteAndItsLog)
{
  propose(*leader, 1);
  const auto state = first->hard_state;
  const auto before = first->committed;
  network.crash(first->id);
  network.restart(first->id);
  EXPECT_EQ(first->engine->term(), state.term);
  network.run(3);
  propose(*leader, 2);
  ASSERT_EQ(first->committed.size(), before.size() + 1);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), first->committed.begin()));
}
}
}
