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
  EXPECT_EQ(next_change(membership), one(3, Role::none));
}

TEST(NextChange, WhoRetiresHearsWithoutAVoteUntilItIsGone)
{
  auto membership = of_three();
  membership.wanted = {{1, 2}, {3}};
  EXPECT_EQ(next_change(membership), one(3, Role::learner));
  membership.configuration = {.voters = {1, 2}, .learners = {3}};
  membership.progress.push_back({3, 100, true, false});
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
