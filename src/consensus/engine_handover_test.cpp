#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <vector>

namespace concordat::consensus
{
namespace
{
/// Five voters with a leader: handing over, and who disturbs whom.
struct Handover : testing::Test
{
  TestNetwork network{5, 3};
  TestNode* leader = nullptr;
  std::vector<TestNode*> others;

  void SetUp() override
  {
    leader = network.await_leader();
    ASSERT_NE(leader, nullptr);
    network.run(3);
    for (const auto id : network.voters())
      if (id != leader->id)
        others.push_back(&network.node(id));
  }
};

TEST_F(Handover, TheOtherLeadsWithoutWaitingForATimeOut)
{
  const auto term = leader->engine->term();
  ASSERT_TRUE(leader->engine->transfer_leadership(others[1]->id));
  network.drain(*leader);
  network.deliver();
  EXPECT_TRUE(others[1]->engine->leads());
  EXPECT_EQ(others[1]->engine->term(), term + 1);
  EXPECT_FALSE(leader->engine->leads());
  network.run(2);
  for (const auto* node : others)
    EXPECT_EQ(node->engine->leader(), others[1]->id);
}

TEST_F(Handover, TheOtherIsBroughtLevelFirst)
{
  network.cut(others[0]->id);
  for (std::uint64_t i = 1; i <= 50; ++i)
    network.propose(*leader, i);
  network.heal();
  ASSERT_TRUE(leader->engine->transfer_leadership(others[0]->id));
  EXPECT_EQ(leader->engine->handing_over_to(), others[0]->id);
  network.drain(*leader);
  network.run(3);
  EXPECT_TRUE(others[0]->engine->leads());
  network.run(2);
  EXPECT_EQ(others[0]->committed, leader->committed);
  EXPECT_GT(others[0]->committed.size(), 50U);
}

TEST_F(Handover, NothingIsProposedMeanwhileAndItTimesOut)
{
  network.cut(others[0]->id);
  ASSERT_TRUE(leader->engine->transfer_leadership(others[0]->id));
  network.drain(*leader);
  EXPECT_EQ(leader->engine->propose(batch(1)).error().code, ErrorCode::unavailable);
  EXPECT_EQ(leader->engine->propose_change(batch(1), {{{9, Role::learner}}}).error().code, ErrorCode::unavailable);
  network.run(11);
  EXPECT_TRUE(leader->engine->leads());
  EXPECT_EQ(leader->engine->handing_over_to(), 0U);
  network.propose(*leader, 1);
  EXPECT_EQ(leader->committed.back().batch, batch(1));
}

TEST_F(Handover, CanBeCalledOff)
{
  network.cut(others[0]->id);
  ASSERT_TRUE(leader->engine->transfer_leadership(others[0]->id));
  ASSERT_TRUE(leader->engine->transfer_leadership(leader->id));
  EXPECT_EQ(leader->engine->handing_over_to(), 0U);
  network.propose(*leader, 1);
}

TEST_F(Handover, OnlyALeaderHandsOverAndOnlyToAVoter)
{
  EXPECT_EQ(others[0]->engine->transfer_leadership(others[1]->id).error().code, ErrorCode::unavailable);
  EXPECT_EQ(leader->engine->transfer_leadership(9).error().code, ErrorCode::unavailable);
  network.add(6);
  network.change(*leader, 1, {{{6, Role::learner}}});
  network.run(2);
  EXPECT_EQ(leader->engine->transfer_leadership(6).error().code, ErrorCode::unavailable);
  network.change(*leader, 2, {{{6, Role::voter}, {others[0]->id, Role::none}}});
  network.run(2);
  EXPECT_EQ(leader->engine->transfer_leadership(others[0]->id).error().code, ErrorCode::unavailable)
      << "an outgoing voter";
  EXPECT_TRUE(leader->engine->transfer_leadership(6));
}

TEST_F(Handover, ANodeThatStillWritesItsLogDoesNotTakeOver)
{
  auto& slow = *others[0];
  slow.slow_disk = true;
  network.propose(*leader, 1);
  ASSERT_FALSE(slow.writes.empty());
  EXPECT_EQ(slow.engine->campaign().error().code, ErrorCode::unavailable);
  for (int i = 0; i < 100; ++i)
    slow.engine->tick();
  EXPECT_FALSE(slow.engine->leads());
  EXPECT_EQ(slow.engine->leader(), leader->id) << "it has started no election";
  slow.slow_disk = false;
  network.finish_writes(slow);
  slow.engine->tick();
  EXPECT_EQ(slow.engine->leader(), 0U) << "and makes up for it";
}

TEST_F(Handover, ANodeThatWasCutOffComesBackWithoutChangingTheTerm)
{
  const auto term = leader->engine->term();
  network.cut(others[0]->id);
  network.run(200);
  EXPECT_EQ(others[0]->engine->term(), term) << "it asks before it counts up";
  network.heal();
  network.run(50);
  EXPECT_TRUE(leader->engine->leads());
  EXPECT_EQ(leader->engine->term(), term);
}

TEST_F(Handover, ANodeThatHearsNobodyButIsHeardDisturbsNobody)
{
  const auto term = leader->engine->term();
  for (const auto id : network.voters())
    network.block(id, others[0]->id);
  network.run(200);
  EXPECT_TRUE(leader->engine->leads());
  EXPECT_EQ(leader->engine->term(), term);
}

TEST_F(Handover, ALeaderThatHearsNoMajorityStepsDown)
{
  EXPECT_TRUE(leader->engine->has_quorum());
  for (const auto* node : others)
    network.block(node->id, leader->id);
  network.run(11);
  EXPECT_FALSE(leader->engine->has_quorum());
  network.run(14);
  EXPECT_FALSE(leader->engine->leads()) << "though they hear it";
  auto* const next = network.await_leader();
  ASSERT_NE(next, nullptr);
  EXPECT_NE(next, leader);
}

TEST_F(Handover, ALeaderKnowsWhoIsLevelAndWhoIsActive)
{
  network.cut(others[0]->id);
  network.propose(*leader, 1);
  network.run(12);
  const auto last = leader->log.last_index();
  const auto progress = leader->engine->progress();
  ASSERT_EQ(progress.size(), 4U);
  for (const auto& peer : progress)
    EXPECT_EQ(
        peer, (PeerProgress{peer.id, peer.id == others[0]->id ? last - 1 : last, peer.id != others[0]->id, false}));
  EXPECT_TRUE(leader->engine->has_quorum());
  EXPECT_TRUE(others[1]->engine->progress().empty());
  EXPECT_FALSE(others[1]->engine->has_quorum());
}

TEST_F(Handover, ANodeThatObservesVotesForOneAloneUntilItTakesPart)
{
  auto& node = *others[0];
  auto& helped = *others[1];
  network.crash(node.id);
  node.options.observes = true;
  network.restart(node.id);
  network.propose(*leader, 1);
  network.run(20);
  EXPECT_EQ(node.engine->campaign().error().code, ErrorCode::unavailable);
  EXPECT_EQ(node.committed, leader->committed) << "it stores and acknowledges";

  // Three of five are left, and need each other's votes.
  network.crash(leader->id);
  network.crash(others[3]->id);
  network.run(100);
  EXPECT_FALSE(network.leader());
  node.engine->vote_for(node.id);
  network.run(100);
  EXPECT_FALSE(network.leader());
  node.engine->vote_for(helped.id);
  network.run(100);
  EXPECT_EQ(network.leader(), &helped);

  network.crash(helped.id);
  network.restart(leader->id);
  node.engine->vote_for(0);
  network.run(100);
  EXPECT_FALSE(network.leader());
  node.engine->take_part();
  network.run(100);
  EXPECT_TRUE(network.leader());
}
}
}
