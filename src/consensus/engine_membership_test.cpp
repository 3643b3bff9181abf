#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

namespace concordat::consensus
{
namespace
{
using Members = std::vector<MemberChange>;

/// A network of three with a leader; nodes 4 and 5 wait to join.
struct Membership : testing::Test
{
  TestNetwork network{3, 1};
  TestNode* leader = nullptr;
  std::uint64_t number = 0;

  void SetUp() override
  {
    leader = network.await_leader();
    ASSERT_NE(leader, nullptr);
    network.run(3);
    network.add(4);
    network.add(5);
  }

  TestNode& follower(std::size_t which = 0)
  {
    auto id = EngineId{1};
    for (;; ++id)
      if (id != leader->id && which-- == 0)
        return network.node(id);
  }

  void change(Members members)
  {
    network.change(*leader, ++number, {std::move(members)});
    network.run(2);
  }
  void propose()
  {
    network.propose(*leader, ++number);
  }
  Result<void> refused(Members members)
  {
    return leader->engine->propose_change(batch(9999), {std::move(members)});
  }
};

TEST_F(Membership, ALearnerGetsTheLogAndBecomesAVoter)
{
  propose();
  change({{4, Role::learner}});
  auto& joined = network.node(4);
  EXPECT_EQ(joined.committed, leader->committed);
  EXPECT_EQ(joined.engine->role(), Role::learner);
  EXPECT_EQ(joined.engine->campaign().error().code, ErrorCode::unavailable);
  EXPECT_EQ(leader->engine->configuration(), (Configuration{.voters = {1, 2, 3}, .learners = {4}}));

  change({{4, Role::voter}});
  for (const EngineId id : {1, 2, 3, 4})
    EXPECT_EQ(network.node(id).engine->configuration(), (Configuration{.voters = {1, 2, 3, 4}}));
  EXPECT_EQ(joined.engine->role(), Role::voter);
  EXPECT_EQ(network.node(5).committed.size(), 0U) << "who is no member gets nothing";
}

TEST_F(Membership, AnEntryWithAChangeCarriesItsBatchAndComesBackFromTheLog)
{
  change({{4, Role::learner}});
  const auto entry = leader->committed.back();
  EXPECT_EQ(entry.batch, batch(number));
  EXPECT_EQ(entry.change, (ConfigurationChange{{{4, Role::learner}}}));
  for (const auto id : network.voters())
  {
    network.restart(id);
    EXPECT_EQ(network.node(id).log.entry(entry.index), entry);
  }
  network.run(40);
  for (const auto id : network.voters())
    EXPECT_EQ(network.node(id).engine->configuration(), (Configuration{.voters = {1, 2, 3}, .learners = {4}}));
}

TEST_F(Membership, ALearnerDoesNotCount)
{
  change({{4, Role::learner}});
  network.cut(follower(0).id);
  network.cut(follower(1).id);
  const auto before = leader->committed.size();
  propose();
  network.run(3);
  EXPECT_EQ(network.node(4).log.last_index(), leader->log.last_index());
  EXPECT_EQ(leader->committed.size(), before);
}

TEST_F(Membership, AVoterThatIsRemovedCountsNoMore)
{
  const auto removed = follower(0).id;
  change({{removed, Role::none}});
  network.cut(follower(1).id);
  const auto before = leader->committed.size();
  propose();
  network.run(3);
  EXPECT_EQ(leader->committed.size(), before) << "two are left, and one of them is cut off";
  network.heal();
  network.run(3);
  EXPECT_EQ(leader->committed.size(), before + 1);
}

TEST_F(Membership, ARemovedNodeThatDoesNotKnowDisturbsNobody)
{
  auto& removed = follower(0);
  network.cut(removed.id);
  change({{removed.id, Role::none}});
  const auto term = leader->engine->term();
  network.heal();
  network.run(100);
  EXPECT_EQ(removed.engine->role(), Role::voter) << "it was told nothing";
  EXPECT_TRUE(leader->engine->leads());
  EXPECT_EQ(leader->engine->term(), term);
}

TEST_F(Membership, SeveralChangesAreJointUntilALeavingEntry)
{
  const auto out = follower(0).id;
  change({{4, Role::voter}, {5, Role::learner}, {out, Role::none}});
  const auto joint = leader->engine->configuration();
  EXPECT_EQ(joint.voters_outgoing, (std::vector<EngineId>{1, 2, 3}));
  EXPECT_EQ(joint.learners, (std::vector<EngineId>{5}));
  network.run(30);
  EXPECT_EQ(leader->engine->configuration(), joint) << "it is not left by itself";

  EXPECT_EQ(refused({{9, Role::learner}}).error().code, ErrorCode::unavailable);
  change({});
  const auto& entry = leader->committed.back();
  EXPECT_EQ(entry.batch, batch(number));
  EXPECT_EQ(entry.change, ConfigurationChange{});
  EXPECT_FALSE(leader->engine->configuration().joint());
  EXPECT_EQ(leader->engine->configuration().role(out), Role::none);
  EXPECT_EQ(network.node(4).engine->role(), Role::voter);
}

TEST_F(Membership, OneChangeIsJointWhereThatIsSaid)
{
  const auto out = follower(0).id;
  network.change(*leader, ++number, {{{out, Role::none}}, true});
  network.run(2);
  EXPECT_EQ(leader->engine->configuration().voters_outgoing, (std::vector<EngineId>{1, 2, 3}));
  EXPECT_EQ(leader->committed.back().change, (ConfigurationChange{{{out, Role::none}}, true}));
  change({});
  EXPECT_FALSE(leader->engine->configuration().joint());
  EXPECT_EQ(leader->engine->configuration().role(out), Role::none);
}

TEST_F(Membership, AJointConfigurationNeedsBothMajorities)
{
  change({{4, Role::voter}, {5, Role::voter}, {follower(0).id, Role::none}, {follower(1).id, Role::none}});
  ASSERT_TRUE(leader->engine->configuration().joint());
  const auto old_ones = [&] { return std::array{follower(0).id, follower(1).id}; };
  for (const auto& lost : {std::array<EngineId, 2>{4, 5}, std::array<EngineId, 2>{old_ones()}})
  {
    for (const auto id : lost)
      network.cut(id);
    const auto before = leader->committed.size();
    propose();
    network.run(3);
    EXPECT_EQ(leader->committed.size(), before);
    network.heal();
    network.run(3);
    EXPECT_EQ(leader->committed.size(), before + 1);
  }
}

TEST_F(Membership, ANewLeaderFinishesAJointConfigurationThatItFinds)
{
  change({{4, Role::voter}, {follower(0).id, Role::none}});
  network.cut(leader->id);
  auto* const next = network.await_leader();
  ASSERT_NE(next, nullptr);
  network.run(3);
  ASSERT_TRUE(next->engine->configuration().joint());
  network.change(*next, ++number, {});
  network.run(2);
  EXPECT_FALSE(next->engine->configuration().joint());
}

TEST_F(Membership, ChangesThatMustWaitAreRefusedAndChangeNothing)
{
  const auto nothing_changed = [&](const Result<void>& outcome, ErrorCode code)
  {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code) << outcome.error().describe();
    EXPECT_FALSE(leader->engine->has_ready());
  };
  nothing_changed(refused({}), ErrorCode::unavailable);
  nothing_changed(refused({{1, Role::voter}}), ErrorCode::invalid);
  nothing_changed(refused({{0, Role::voter}}), ErrorCode::invalid);
  nothing_changed(leader->engine->propose_change({}, {{{4, Role::learner}}}), ErrorCode::invalid);
  EXPECT_EQ(follower().engine->propose_change(batch(1), {{{4, Role::learner}}}).error().code, ErrorCode::unavailable);

  EXPECT_FALSE(leader->engine->change_pending());
  ASSERT_TRUE(leader->engine->propose_change(batch(1), {{{4, Role::learner}}}));
  leader->drain([](const Message&) {});
  EXPECT_TRUE(leader->engine->change_pending());
  nothing_changed(refused({{5, Role::learner}}), ErrorCode::unavailable);
  nothing_changed(refused({{4, Role::voter}}), ErrorCode::unavailable);
}

TEST_F(Membership, AFreshLeaderChangesNothingBeforeItsFirstEntryIsApplied)
{
  network.cut(leader->id);
  for (int i = 0; i < 1000 && network.leader() == nullptr; ++i)
  {
    network.tick();
    while (network.flying() > 0 && network.leader() == nullptr)
      network.deliver(1);
  }
  auto* const fresh = network.leader();
  ASSERT_NE(fresh, nullptr);
  const auto early = fresh->engine->propose_change(batch(1), {{{4, Role::learner}}});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::unavailable);
  network.run(3);
  EXPECT_TRUE(fresh->engine->propose_change(batch(1), {{{4, Role::learner}}}));
}

TEST_F(Membership, ALeaderThatIsRemovedStepsDownAndTheOthersGoOn)
{
  auto* const old = leader;
  // More is on its way when the change is applied.
  ASSERT_TRUE(old->engine->propose_change(batch(++number), {{{old->id, Role::none}}}));
  ASSERT_TRUE(old->engine->propose(batch(++number)));
  network.drain(*old);
  network.deliver();
  EXPECT_FALSE(old->engine->leads());
  EXPECT_EQ(old->engine->role(), Role::none);
  EXPECT_EQ(old->engine->campaign().error().code, ErrorCode::unavailable);
  network.run(40);
  auto* const next = network.await_leader();
  ASSERT_NE(next, nullptr);
  EXPECT_NE(next, old);
  EXPECT_EQ(next->engine->configuration().voters.size(), 2U);
  network.propose(*next, ++number);
  network.run(2);
  EXPECT_EQ(next->committed.back().batch, batch(number));
}

TEST_F(Membership, ALeaderThatLeavesAJointConfigurationAsALearnerStepsDown)
{
  change({{leader->id, Role::learner}, {4, Role::voter}});
  ASSERT_TRUE(leader->engine->leads()) << "as an outgoing voter";
  change({});
  EXPECT_FALSE(leader->engine->leads());
  EXPECT_EQ(leader->engine->role(), Role::learner);
  network.run(40);
  auto* const next = network.await_leader();
  ASSERT_NE(next, nullptr);
  network.propose(*next, ++number);
  network.run(2);
  EXPECT_EQ(leader->committed, next->committed) << "it still gets the log";
}

TEST_F(Membership, ANodeThatIsRemovedAndAddedAgainIsProbedAnew)
{
  const auto id = follower(0).id;
  change({{id, Role::none}});
  // It comes back without its disk.
  auto& node = network.node(id);
  network.crash(id);
  node.disk = RaftLog();
  node.hard_state = {1, 0, 0};
  node.committed.clear();
  network.restart(id);
  change({{id, Role::learner}});
  network.run(5);
  EXPECT_EQ(node.committed, leader->committed);
}

TEST_F(Membership, AppliedStateAndConfigurationSurviveARestartInTheMiddle)
{
  change({{4, Role::voter}, {5, Role::learner}});
  propose();
  change({});
  const auto end = leader->engine->configuration();
  auto& node = follower(0);
  for (Index base = 0; base <= node.committed.size(); ++base)
  {
    node.compact(base);
    network.restart(node.id);
    EXPECT_EQ(node.engine->configuration(), node.configuration_at(node.log.base()));
    network.run(5);
    EXPECT_EQ(node.engine->configuration(), end);
  }
}

TEST_F(Membership, OfTwoChangesInTheLogTheFirstIsCommittedAfterARestart)
{
  change({{4, Role::learner}});
  change({{5, Role::learner}});
  auto& node = follower(0);
  node.hard_state.commit = 0;
  node.crash();
  node.start(7);
  const auto& first = leader->committed[leader->committed.size() - 2];
  ASSERT_TRUE(first.change);
  EXPECT_EQ(node.engine->commit(), first.index);
  ASSERT_TRUE(node.engine->has_ready());
  node.drain([](const Message&) {});
  EXPECT_EQ(node.engine->configuration(), (Configuration{.voters = {1, 2, 3}, .learners = {4}}));
}

TEST_F(Membership, ANodeThatKnowsOldVotersOnlyFollowsAndElectsNewOnes)
{
  // Node 2 or 3 is told nothing while 4 and 5 join and take over.
  auto& late = follower(0);
  network.cut(late.id);
  change({{4, Role::learner}});
  change({{4, Role::voter}});
  change({{5, Role::learner}});
  change({{5, Role::voter}});
  ASSERT_TRUE(leader->engine->transfer_leadership(4));
  network.drain(*leader);
  network.run(2);
  ASSERT_TRUE(network.node(4).engine->leads());
  network.crash(leader->id);
  network.heal();
  network.crash(follower(1).id);
  network.run(5);
  EXPECT_EQ(late.engine->leader(), 4U);
  EXPECT_EQ(late.committed, network.node(4).committed);
}

TEST_F(Membership, WhoVotesAloneSendsNothingBeforeItsTermIsDurable)
{
  TestNode node;
  node.id = 1;
  node.initial = {.voters = {1}, .learners = {2}};
  node.start(1);
  ASSERT_TRUE(node.engine->campaign());
  const auto round = node.engine->ready();
  ASSERT_TRUE(round.hard_state);
  EXPECT_TRUE(round.messages.empty());
  EXPECT_FALSE(round.persisted_messages.empty());
  node.log.append(round.entries);
  node.engine->advance_early();
  ASSERT_TRUE(node.engine->propose(batch(1)));
  EXPECT_TRUE(node.engine->has_ready());
  EXPECT_TRUE(node.engine->ready().messages.empty());
}

TEST_F(Membership, WhatCannotBeAppliedIsCorruptAndChangesNothing)
{
  // A leader that lies has a node of its own agree on a change that cannot be made.
  TestNode node;
  node.id = 1;
  node.initial = {.voters = {1}};
  node.disk.append(
      std::vector<LogEntry>{{1, 2, {}}, {2, 2, batch(1), ConfigurationChange{{{1, Role::none}}}}, {3, 2, batch(2)}});
  node.hard_state = {2, 1, 3};
  node.start(1);
  const auto round = node.engine->ready();
  ASSERT_EQ(round.committed.size(), 3U);
  const auto applied = node.engine->apply_change(round.committed[1]);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, ErrorCode::corrupt);
  EXPECT_EQ(node.engine->configuration(), (Configuration{.voters = {1}}));
}

TEST_F(Membership, DeathOfWhoForgetsToApplyAChange)
{
  TestNode node;
  node.id = 1;
  node.initial = {.voters = {1}};
  node.disk.append(std::vector<LogEntry>{{1, 2, {}}, {2, 2, batch(1), ConfigurationChange{{{2, Role::learner}}}}});
  node.hard_state = {2, 1, 2};
  node.start(1);
  (void)node.engine->ready();
  EXPECT_DEATH((void)node.engine->advance(), "is not applied");
  EXPECT_DEATH(
      (void)node.engine->apply_change({1, 2, batch(1), ConfigurationChange{{{2, Role::learner}}}}), "in order");
}
}
}
