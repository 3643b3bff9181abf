#include "consensus/roll_call.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
namespace
{
constexpr std::uint64_t start = 77;

/// Node 2 of three comes back.
class RollCallTest : public testing::Test
{
protected:
  static Presence of(EngineId id, View term, LogPosition last, bool returning)
  {
    Presence one;
    one.start = 100 + id;
    one.answers = start;
    one.id = id;
    one.term = term;
    one.last = last;
    one.returning = returning;
    one.voters = {1, 2, 3};
    return one;
  }
  void hear(const Presence& presence)
  {
    call.hear("node " + std::to_string(presence.id), presence);
  }

  Presence own = of(2, 5, {5, 50}, true);
  RollCall call{start, false};
};

using Ids = std::vector<EngineId>;
}

TEST_F(RollCallTest, NothingIsDecidedAlone)
{
  EXPECT_FALSE(call.verdict(own, true));
  EXPECT_EQ(call.missing(own), (Ids{1, 3}));
}

TEST_F(RollCallTest, APrimaryAdmits)
{
  auto primary = of(1, 6, {6, 60}, false);
  primary.admitted = 4;
  hear(primary);
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{4, 0, 5, true, false, {}}));
}

TEST_F(RollCallTest, OnlyAnswersToThisStartCount)
{
  auto late = of(1, 6, {6, 60}, false);
  late.admitted = 4;
  late.answers = start - 1;
  hear(late);
  EXPECT_FALSE(call.verdict(own, true));
  EXPECT_EQ(call.missing(own), (Ids{1, 3}));
}

TEST_F(RollCallTest, WhoCanAgreeWithoutThisNodeIsWaitedFor)
{
  hear(of(1, 6, {6, 60}, false));
  hear(of(3, 6, {6, 60}, false));
  EXPECT_FALSE(call.verdict(own, true));
  EXPECT_TRUE(call.missing(own).empty());
}

TEST_F(RollCallTest, AfterAFullStopTheNewestLogIsHelped)
{
  hear(of(1, 9, {6, 60}, true));
  EXPECT_FALSE(call.verdict(own, true)) << "what node 3 has may be newer still";
  hear(of(3, 6, {6, 59}, true));
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 1, 10, false, true, {}}));
}

TEST_F(RollCallTest, WhoHasTheNewestLogMayLead)
{
  own.last = {6, 61};
  hear(of(1, 9, {6, 60}, true));
  hear(of(3, 6, {5, 99}, true));
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 0, 10, false, true, {}}));
}

TEST_F(RollCallTest, OfLogsThatEndAtTheSamePlaceOneIsChosenByAll)
{
  for (const bool mine : {true, false})
  {
    RollCall others(start, false);
    own = of(mine ? 2 : 3, 5, {5, 50}, true);
    others.hear("a", of(1, 5, {5, 50}, true));
    others.hear("b", of(mine ? 3 : 2, 5, {5, 50}, true));
    EXPECT_EQ(others.verdict(own, false)->votes_for, mine ? 3U : 0U);
  }
}

TEST_F(RollCallTest, AMinorityThatRunsIsNoFullStop)
{
  hear(of(1, 6, {5, 50}, false));
  hear(of(3, 6, {5, 49}, true));
  const auto verdict = call.verdict(own, false);
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->full_stop);
}

TEST_F(RollCallTest, AVoterThatOnlyAnotherKnowsIsWaitedForToo)
{
  auto other = of(1, 6, {6, 60}, true);
  other.coming = {4};
  hear(other);
  hear(of(3, 6, {6, 60}, true));
  EXPECT_FALSE(call.verdict(own, true));
  EXPECT_EQ(call.missing(own), (Ids{4}));
}

TEST_F(RollCallTest, AVoterThatWasRemovedSinceIsNotWaitedFor)
{
  own.voters = {1, 2, 3, 9};
  own.coming = {8};
  auto other = of(1, 6, {6, 60}, true);
  other.applied = {6, 60};
  hear(other);
  hear(of(3, 6, {6, 59}, true));
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 1, 7, false, true, {}}));
}

TEST_F(RollCallTest, OfAJointConfigurationBothHalvesMustAgree)
{
  const auto joint = [](Presence presence)
  {
    presence.voters = {2, 3};
    presence.outgoing = {1, 3, 4};
    return presence;
  };
  own = joint(own);
  for (const EngineId id : {1, 3, 4})
    hear(joint(of(id, 6, {6, 60}, false)));
  const auto verdict = call.verdict(own, false);
  ASSERT_TRUE(verdict) << "most of the outgoing ones run, and only one of the others";
  EXPECT_FALSE(verdict->full_stop);
  EXPECT_TRUE(verdict->votes_for == 1 || verdict->votes_for == 3 || verdict->votes_for == 4);
  RollCall fourth(start, false);
  auto self = joint(of(4, 5, {5, 50}, true));
  for (const EngineId id : {1, 2, 3})
    fourth.hear(std::to_string(id), joint(of(id, 6, {6, 60}, false)));
  EXPECT_FALSE(fourth.verdict(self, true)) << "both halves can agree without it";
}

TEST_F(RollCallTest, WithoutWhatSomebodyKnowsToBeCommittedNobodyLeads)
{
  auto learner = of(4, 6, {6, 60}, false);
  learner.applied = {6, 60};
  hear(of(1, 6, {6, 59}, true));
  hear(of(3, 6, {5, 99}, true));
  EXPECT_TRUE(call.verdict(own, true));
  hear(learner);
  EXPECT_FALSE(call.verdict(own, true));
  RollCall accepting(start, true);
  accepting.hear("1", of(1, 6, {6, 59}, true));
  accepting.hear("3", of(3, 6, {5, 99}, true));
  accepting.hear("4", learner);
  EXPECT_FALSE(accepting.verdict(own, false)) << "others may still answer";
  EXPECT_EQ(accepting.verdict(own, true)->votes_for, 1U) << "the operator has said so";
}

TEST_F(RollCallTest, WhatOthersKnowItByCounts)
{
  auto other = of(1, 6, {6, 60}, true);
  other.voters = {1, 3, 5};
  other.receiver = 5;
  other.applied = {1, 1};
  own.voters = {};
  hear(other);
  auto third = of(3, 6, {6, 60}, true);
  third.voters = other.voters;
  hear(third);
  const auto verdict = call.verdict(own, false);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->id, 5U);
}

TEST_F(RollCallTest, WhoMaySoonVoteIsNoneOfAMajorityYetAndNotHelped)
{
  auto other = of(1, 6, {6, 60}, false);
  other.voters = own.voters = {1, 2};
  other.coming = {4};
  hear(other);
  auto learner = of(4, 6, {6, 61}, false);
  learner.voters = own.voters;
  hear(learner);
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 1, 7, false, false, {}}))
      << "nobody would elect it: as long as none of the others has it, its last entry is not agreed on";
}

TEST_F(RollCallTest, AVoterThatHasAnotherIdNowIsThereButNotHelped)
{
  auto renamed = of(4, 9, {9, 99}, false);
  renamed.former = {1};
  hear(renamed);
  hear(of(3, 6, {6, 60}, false));
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 3, 10, false, false, {}}));
}

TEST_F(RollCallTest, WhoHasNoVoteWaitsForAPrimary)
{
  own.id = 7;
  own.voters = {1, 3};
  for (const EngineId id : {1, 3})
  {
    auto other = of(id, 6, {6, 60}, true);
    other.voters = own.voters;
    hear(other);
  }
  EXPECT_FALSE(call.verdict(own, true));
}

TEST_F(RollCallTest, TheOperatorMaySayThatAMajorityIsEnough)
{
  RollCall accepting(start, true);
  EXPECT_FALSE(accepting.verdict(own, true)) << "one of three is none";
  accepting.hear("node 1", of(1, 6, {6, 60}, true));
  EXPECT_FALSE(accepting.verdict(own, false)) << "the third may be about to answer";
  EXPECT_EQ(accepting.verdict(own, true), (RollCall::Verdict{2, 1, 7, false, true, {3}}));
}

TEST_F(RollCallTest, ANodeThatIsTheOnlyVoterGoesOn)
{
  own.voters = {2};
  EXPECT_EQ(call.verdict(own, false), (RollCall::Verdict{2, 0, 6, false, true, {}}));
}
}
