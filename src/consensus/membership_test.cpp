#include "consensus/membership.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
namespace
{
Membership of_three()
{
  return {1, {.voters = {1, 2, 3}}, {{1, 2, 3}}, {{2, 100, true, false}, {3, 100, true, false}}, 100};
}

ConfigurationChange one(EngineId id, Role role)
{
  return {{{id, role}}};
}

/// A vote is taken away.
ConfigurationChange less(EngineId id, Role role)
{
  return {{{id, role}}, true};
}
}

TEST(NextChange, NothingWhenTheRightNodesTakePart)
{
  EXPECT_EQ(next_change(of_three()), std::nullopt);
}

TEST(NextChange, NewNodeLearnsBeforeItVotes)
{
  auto membership = of_three();
  membership.wanted.voters.push_back(4);
  EXPECT_EQ(next_change(membership), one(4, Role::learner));
  membership.configuration.learners = {4};
  membership.progress.push_back({4, 10, true, false});
  EXPECT_EQ(next_change(membership), std::nullopt) << "it lacks too much";
  membership.progress.back() = {4, 99, false, false};
  EXPECT_EQ(next_change(membership), std::nullopt) << "it does not answer";
  membership.progress.back() = {4, 99, true, false};
  EXPECT_EQ(next_change(membership), one(4, Role::voter));
}

TEST(NextChange, LearnerThatIsWantedNoMoreNeverGetsAVote)
{
  auto membership = of_three();
  membership.configuration.learners = {4};
  membership.progress.push_back({4, 100, true, false});
  EXPECT_EQ(next_change(membership), one(4, Role::none));
}

TEST(NextChange, WhoIsGoneLeavesBeforeOthersCome)
{
  auto membership = of_three();
  membership.wanted = {{1, 2, 4}};
  for (const bool active : {true, false})
  {
    membership.progress.back().active = active;
    EXPECT_EQ(next_change(membership), less(3, Role::none)) << "it is somebody's earlier number, or was removed";
  }
}

TEST(NextChange, WhoIsReplacedVotesUntilTheOtherCan)
{
  auto membership = of_three();
  membership.wanted = {{1, 2, 4}, {3}};
  EXPECT_EQ(next_change(membership), one(4, Role::learner));
  membership.configuration.learners = {4};
  membership.progress.push_back({4, 10, true, false});
  EXPECT_EQ(next_change(membership), std::nullopt) << "it lacks too much";
  auto ready = membership;
  ready.progress.back().matched = 99;
  EXPECT_EQ(next_change(ready), (ConfigurationChange{{{4, Role::voter}, {3, Role::learner}}}));
  for (const bool active : {false, true})
  {
    auto hopeless = membership;
    hopeless.progress.back().active = active;
    hopeless.progress.back().stranded = active;
    EXPECT_EQ(next_change(hopeless), less(3, Role::learner)) << "nobody waits for one that does not come";
  }
  membership.patient = true;
  membership.progress.back().active = false;
  EXPECT_EQ(next_change(membership), std::nullopt) << "it may still be getting the ledger";
  membership.patient = false;
  membership.progress.back().active = true;
  membership.progress[1].active = false;
  EXPECT_EQ(next_change(membership), less(3, Role::learner)) << "who does not answer is of no use";
}

TEST(NextChange, VotesThatChangeTogetherDoSoInOneChange)
{
  auto membership = of_three();
  membership.configuration = {.voters = {1}, .learners = {2, 3}};
  EXPECT_EQ(next_change(membership), (ConfigurationChange{{{2, Role::voter}, {3, Role::voter}}}));
  membership.progress.back().matched = 10;
  EXPECT_EQ(next_change(membership), one(2, Role::voter));
}

TEST(NextChange, AChangeIsNoLargerThanOneMayBe)
{
  Membership membership{.self = 1, .configuration = {.voters = {1}}, .wanted = {{1}}, .progress = {}, .last = 100};
  for (EngineId id = 2; id < 30; ++id)
  {
    membership.configuration.learners.push_back(id);
    membership.wanted.voters.push_back(id);
    membership.progress.push_back({id, 100, true, false});
  }
  const auto change = next_change(membership);
  ASSERT_TRUE(change);
  EXPECT_TRUE(change->validate());
  EXPECT_TRUE(membership.configuration.after(*change));
}

TEST(NextChange, WhoRetiresHearsWithoutAVoteUntilItIsGone)
{
  auto membership = of_three();
  membership.wanted = {{1, 2}, {3}};
  EXPECT_EQ(next_change(membership), less(3, Role::learner));
  membership.configuration = {.voters = {1, 2}, .learners = {3}};
  EXPECT_EQ(next_change(membership), std::nullopt);
  membership.wanted.leaving.clear();
  EXPECT_EQ(next_change(membership), one(3, Role::none));
}

TEST(NextChange, NeitherThePrimaryNorTheLastVoterLeaves)
{
  auto membership = of_three();
  membership.wanted = {{2, 3}};
  EXPECT_EQ(next_change(membership), std::nullopt) << "it hands over first";
  membership.configuration = {.voters = {2}};
  membership.wanted = {};
  EXPECT_EQ(next_change(membership), std::nullopt);
}

TEST(NextChange, AJointConfigurationIsLeftFirst)
{
  auto membership = of_three();
  membership.configuration.voters_outgoing = {1, 2};
  membership.wanted = {{1, 2, 3, 4}};
  EXPECT_EQ(next_change(membership), ConfigurationChange{});
}
}
