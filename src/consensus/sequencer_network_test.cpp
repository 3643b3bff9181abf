#include "consensus/test_network.h"

/// Several nodes that agree on one ledger.
namespace concordat::consensus
{
using namespace std::chrono_literals;

TEST_F(NetworkTest, WhatThePrimaryCommitsIsAppliedByAll)
{
  begin(3);
  const auto primary = elect();
  ASSERT_NE(primary, 0U);
  std::optional<Result<void>> outcome;
  const auto id = write(primary, "a", "1", outcome);
  ASSERT_TRUE(id) << id.error().describe();
  EXPECT_FALSE(outcome);
  pass(3);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(*outcome);
  for (const auto one : voters_)
  {
    EXPECT_EQ(committed(one, "a"), "1") << one;
    EXPECT_EQ(sequencer(one).committed(), sequencer(primary).committed()) << one;
    EXPECT_EQ(sequencer(one).status(*id), TxStatus::committed) << one;
    EXPECT_EQ(sequencer(one).view(), id->view) << one;
    EXPECT_EQ(sequencer(one).can_write(), one == primary);
    EXPECT_EQ(sequencer(one).read(id->seqno).value(), sequencer(primary).read(id->seqno).value());
  }
}

TEST_F(NetworkTest, ABackupTakesNoWrites)
{
  begin(3);
  const auto primary = elect();
  const auto backup = primary % 3 + 1;
  std::optional<Result<void>> outcome;
  const auto refused = write(backup, "a", "1", outcome);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  pass(3);
  EXPECT_FALSE(committed(primary, "a"));
}

TEST_F(NetworkTest, TheLossOfThePrimaryLosesNothingThatWasAcknowledged)
{
  begin(3);
  const auto first = elect();
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(first, "a", "1", outcome));
  pass(3);
  ASSERT_TRUE(outcome && *outcome);
  const auto view = sequencer(first).view();
  member(first).sequencer.reset();
  const auto second = elect();
  ASSERT_NE(second, 0U);
  EXPECT_NE(second, first);
  EXPECT_GT(sequencer(second).view(), view);
  EXPECT_EQ(committed(second, "a"), "1");
  std::optional<Result<void>> again;
  ASSERT_TRUE(write(second, "b", "2", again));
  pass(3);
  ASSERT_TRUE(again && *again);
  for (const auto one : voters_)
    if (one != first)
    {
      EXPECT_EQ(committed(one, "b"), "2");
    }
}

TEST_F(NetworkTest, APrimaryThatIsCutOffCommitsNothingAndFollowsAfterwards)
{
  begin(3);
  const auto first = elect();
  std::optional<Result<void>> kept;
  ASSERT_TRUE(write(first, "kept", "1", kept));
  pass(3);
  ASSERT_TRUE(kept && *kept);

  cut_off_.insert(first);
  std::optional<Result<void>> lost;
  const auto id = write(first, "lost", "1", lost);
  ASSERT_TRUE(id);
  pass(1);
  EXPECT_FALSE(lost) << "it may still be committed";
  const auto second = elect();
  ASSERT_NE(second, first);
  std::optional<Result<void>> other;
  ASSERT_TRUE(write(second, "other", "1", other));
  pass(30);
  ASSERT_TRUE(other && *other);
  EXPECT_FALSE(sequencer(first).can_write()) << "a primary that hears of no majority steps down";
  EXPECT_FALSE(lost) << "what was proposed has an unknown fate";
  std::optional<Result<void>> late;
  EXPECT_FALSE(write(first, "late", "1", late));

  cut_off_.clear();
  pass(30);
  ASSERT_TRUE(lost);
  ASSERT_FALSE(*lost);
  EXPECT_EQ(lost->error().code, ErrorCode::lost);
  EXPECT_EQ(sequencer(first).status(*id), TxStatus::invalid);
  EXPECT_EQ(committed(first, "other"), "1");
  EXPECT_FALSE(committed(first, "lost"));
  EXPECT_EQ(committed(first, "kept"), "1");
  for (const auto one : voters_)
    EXPECT_EQ(sequencer(one).committed(), sequencer(second).committed()) << one;
}

TEST_F(NetworkTest, WhatABackupHasStoredIsPendingThere)
{
  begin(3);
  const auto first = elect();
  pass(3);
  const auto second = first == 1 ? 2U : 1U;
  const auto third = 6 - first - second;
  std::optional<Result<void>> outcome;
  const auto id = write(first, "key", "1", outcome);
  ASSERT_TRUE(id);
  EXPECT_EQ(sequencer(second).status(*id), TxStatus::unknown);
  sequencer(first).step();
  for (auto& one : std::exchange(sent_, {}))
    if (one.to == second)
      hand_over(std::move(one));
  sequencer(second).step(); // what it answers has not arrived: nobody knows that a majority has it
  EXPECT_EQ(sequencer(second).status(*id), TxStatus::pending);
  EXPECT_EQ(sequencer(third).status(*id), TxStatus::unknown);
  EXPECT_EQ(sequencer(second).status({id->view, id->seqno + 100}), TxStatus::unknown);
  EXPECT_NE(sequencer(second).status({id->view + 1, id->seqno}), TxStatus::pending);
  pass(30);
  ASSERT_TRUE(outcome && *outcome);
  for (const auto one : voters_)
    EXPECT_EQ(sequencer(one).status(*id), TxStatus::committed) << one;
}

TEST_F(NetworkTest, WhatADeposedPrimaryHadProposedIsToldWhenOthersCommitIt)
{
  begin(3);
  const auto first = elect();
  pass(3);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(first, "a", "1", outcome));
  // The others get it; their answers are lost, and the primary with them.
  sequencer(first).step();
  auto sent = std::exchange(sent_, {});
  ASSERT_FALSE(sent.empty());
  for (auto& one : sent)
  {
    std::vector<std::shared_ptr<const Batch>> batches;
    for (auto& [descriptor, bytes] : one.batches)
      batches.push_back(Batch::received(descriptor, std::move(bytes)).value());
    sequencer(one.to).deliver(std::move(one.message), std::move(batches));
    sequencer(one.to).step();
  }
  sent_.clear();
  cut_off_.insert(first);
  const auto second = elect();
  ASSERT_NE(second, 0U);
  EXPECT_EQ(committed(second, "a"), "1");
  pass(30);
  EXPECT_FALSE(outcome);
  cut_off_.clear();
  pass(30);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(*outcome) << "it was committed after all, under its own id";
  EXPECT_EQ(sequencer(first).committed(), sequencer(second).committed());
}

TEST_F(NetworkTest, WhoWaitsIsToldWhenThePrimaryStops)
{
  begin(3);
  const auto primary = elect();
  pass(3);
  cut_off_.insert(primary);
  std::optional<Result<void>> proposed;
  std::optional<Result<void>> queued;
  ASSERT_TRUE(write(primary, "a", "1", proposed));
  sequencer(primary).step();
  EXPECT_FALSE(proposed);
  sequencer(primary).stop();
  // It waits for somebody to take over, in vain.
  clock_.asked = [this] { clock_.passed += options_.tick; };
  sequencer(primary).run();
  ASSERT_TRUE(proposed && !*proposed);
  EXPECT_EQ(proposed->error().code, ErrorCode::unavailable) << "others may still commit it";
  EXPECT_FALSE(write(primary, "b", "1", queued));
}

TEST_F(NetworkTest, BatchesFollowEachOtherBeforeTheFirstIsCommitted)
{
  options_.max_batch_transactions = 1;
  begin(3);
  const auto primary = elect();
  pass(3);
  const auto before = sequencer(primary).committed();
  std::optional<Result<void>> outcomes[3];
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(write(primary, "key" + std::to_string(i), "1", outcomes[i]));
  for (int i = 0; i < 3; ++i)
    sequencer(primary).step();
  EXPECT_EQ(sequencer(primary).committed(), before);
  EXPECT_EQ(sequencer(primary).read(before.seqno + 5).error().code, ErrorCode::not_found) << "not committed";
  deliver();
  for (const auto& one : outcomes)
    EXPECT_TRUE(one && *one);
  EXPECT_EQ(sequencer(primary).committed().seqno, before.seqno + 6);
}

TEST_F(NetworkTest, ANodeThatComesBackGoesOnFromItsLog)
{
  begin(3);
  const auto primary = elect();
  const auto backup = primary % 3 + 1;
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(primary, "a", "1", outcome));
  pass(3);
  crash(backup);
  std::optional<Result<void>> meanwhile;
  ASSERT_TRUE(write(primary, "b", "2", meanwhile));
  pass(3);
  ASSERT_TRUE(meanwhile && *meanwhile);
  start(backup);
  pass(5);
  EXPECT_EQ(committed(backup, "a"), "1");
  EXPECT_EQ(committed(backup, "b"), "2");
  EXPECT_EQ(sequencer(backup).committed(), sequencer(primary).committed());
}

TEST_F(NetworkTest, AllNodesComeBackWithWhatWasAcknowledged)
{
  begin(3);
  for (int round = 0; round < 5; ++round)
  {
    const auto primary = elect();
    ASSERT_NE(primary, 0U);
    std::optional<Result<void>> outcome;
    ASSERT_TRUE(write(primary, "key" + std::to_string(round), "1", outcome));
    pass(3);
    ASSERT_TRUE(outcome && *outcome);
    for (const auto one : voters_)
      crash(one);
    sent_.clear();
    for (const auto one : voters_)
      start(one);
    const auto next = elect();
    ASSERT_NE(next, 0U);
    pass(3);
    for (const auto one : voters_)
      for (int key = 0; key <= round; ++key)
        EXPECT_EQ(committed(one, "key" + std::to_string(key)), "1") << one << " after round " << round;
  }
}

TEST_F(NetworkTest, WhatIsNotKnownToBeCommittedIsLogAndNotState)
{
  begin(3);
  const auto primary = elect();
  const auto backup = primary % 3 + 1;
  pass(3);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(primary, "a", "1", outcome));
  sequencer(primary).step();
  for (auto& one : std::exchange(sent_, {}))
  {
    if (one.to != backup)
      continue;
    std::vector<std::shared_ptr<const Batch>> batches;
    for (auto& [descriptor, bytes] : one.batches)
      batches.push_back(Batch::received(descriptor, std::move(bytes)).value());
    sequencer(backup).deliver(std::move(one.message), std::move(batches));
    sequencer(backup).step();
  }
  sent_.clear();
  crash(backup);
  start(backup);
  EXPECT_FALSE(committed(backup, "a")) << "it has stored it, and does not know whether others have";
  cut_off_.insert(primary);
  const auto second = elect();
  ASSERT_NE(second, 0U);
  pass(5);
  EXPECT_EQ(committed(second, "a"), "1");
  EXPECT_EQ(committed(backup, "a"), "1");
}

TEST_F(NetworkTest, WhoWaitsForWhatOthersMakeOfItIsToldThatNobodyKnows)
{
  options_.doubt = std::chrono::seconds(3);
  begin(3);
  const auto primary = elect();
  pass(3);
  cut_off_.insert(primary);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(primary, "key", "1", outcome));
  pass(static_cast<int>(2 * options_.election_ticks + 2));
  EXPECT_FALSE(sequencer(primary).can_write());
  EXPECT_FALSE(outcome) << "others may be about to tell";
  pass(static_cast<int>(options_.doubt / options_.tick + 1));
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().code, ErrorCode::unavailable) << "it may still be committed";
  cut_off_.clear();
  pass(static_cast<int>(2 * options_.election_ticks));
}

TEST_F(NetworkTest, AReadOnThePrimaryIsFreshOnceAMajorityHasSaidSo)
{
  begin(3);
  const auto primary = elect();
  pass(3);
  std::optional<Result<void>> first;
  std::optional<Result<void>> second;
  const auto into = [](std::optional<Result<void>>& told) { return [&told](const Result<void>& r) { told = r; }; };
  ASSERT_FALSE(sequencer(primary).when_fresh(into(first)));
  sequencer(primary).step();
  EXPECT_FALSE(first) << "nobody has answered";
  ASSERT_FALSE(sequencer(primary).when_fresh(into(second)));
  deliver();
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(*first && *second);
  for (const EngineId id : {1, 2, 3})
    EXPECT_EQ(sequencer(id).when_fresh(into(first)), id != primary) << "a backup promises nothing";
  for (const EngineId id : {primary % 3 + 1, (primary + 1) % 3 + 1})
  {
    second.reset();
    EXPECT_FALSE(sequencer(id).when_primary(into(second)));
    EXPECT_FALSE(second.value_or(Result<void>{})) << "a backup is no primary";
  }
}

TEST_F(NetworkTest, WhatOnlyAPrimaryMayAnswerIsRefusedByWhoLeadsNotYet)
{
  begin(3);
  const auto old = elect();
  member(old).sequencer.reset();
  // One is elected, and not primary before the others have its first batch.
  EngineId elected = 0;
  for (int i = 0; i < 1000 && elected == 0; ++i)
  {
    clock_.passed += options_.tick;
    for (const EngineId id : {old % 3 + 1, (old + 1) % 3 + 1})
    {
      sequencer(id).step();
      if (sequencer(id).agreement().leader == id)
        elected = id;
    }
    if (elected == 0)
    {
      auto sent = std::exchange(sent_, {});
      for (auto& one : sent)
        if (member(one.to).sequencer)
          sequencer(one.to).deliver(std::move(one.message), {});
    }
  }
  ASSERT_NE(elected, 0U);
  ASSERT_FALSE(sequencer(elected).can_write());
  std::optional<Result<void>> told;
  const auto into = [&told](const Result<void>& result) { told = result; };
  EXPECT_FALSE(sequencer(elected).when_primary(into));
  ASSERT_TRUE(told);
  EXPECT_FALSE(*told) << "others may have been told of more than is committed here";
  told.reset();
  deliver();
  ASSERT_TRUE(sequencer(elected).can_write());
  EXPECT_FALSE(sequencer(elected).when_primary(into));
  EXPECT_FALSE(told) << "asks the others";
  deliver();
  ASSERT_TRUE(told);
  EXPECT_TRUE(*told);
}

TEST_F(NetworkTest, ADeposedPrimarySaysOfNoReadThatItIsFresh)
{
  begin(3);
  const auto primary = elect();
  pass(3);
  cut_off_.insert(primary);
  // The second one waits for the round of the first.
  std::optional<Result<void>> told[2];
  for (auto& one : told)
  {
    ASSERT_FALSE(sequencer(primary).when_fresh([&one](const Result<void>& result) { one = result; }));
    sequencer(primary).step();
  }
  const auto next = elect();
  ASSERT_NE(next, primary);
  std::optional<Result<void>> written;
  ASSERT_TRUE(write(next, "key", "new", written));
  pass(2);
  ASSERT_TRUE(written && *written);
  cut_off_.clear();
  pass(static_cast<int>(options_.election_ticks));
  for (const auto& one : told)
  {
    ASSERT_TRUE(one);
    EXPECT_FALSE(*one);
  }
}

TEST_F(NetworkTest, WhoWroteOnADeposedPrimaryIsToldAlsoIfItsDiskFailsWhereOthersReplaceIt)
{
  begin(3);
  const auto old = elect();
  pass(3);
  cut_off_.insert(old);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(old, "key", "lost", outcome));
  const auto next = elect();
  ASSERT_NE(next, old);
  EXPECT_FALSE(outcome) << "others may still commit it, as far as this node knows";
  cut_off_.clear();
  member(old).files.fail_next(base::DiskFault::sync_error);
  pass(static_cast<int>(options_.election_ticks));
  ASSERT_TRUE(sequencer(old).is_broken());
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(*outcome);
}

/// Who takes part is what the table says.
class MembershipTest : public NetworkTest
{
protected:
  MembershipTest()
  {
    options_.wanted = [this](const kv::Snapshot&) { return wanted_; };
  }

  /// With an empty disk.
  void join(EngineId id)
  {
    members_[id] = std::make_unique<Member>(*this, id);
    start(id);
  }

  Configuration configuration(EngineId id)
  {
    return sequencer(id).agreement().configuration;
  }

  std::vector<EngineId> wanted_ = {1, 2, 3};
};

TEST_F(MembershipTest, OneBecomesThree)
{
  wanted_ = {1};
  begin(1);
  ASSERT_EQ(elect(), 1U);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(1, "before", "1", outcome));
  pass(2);
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE(member(1).durable.saved.several);
  wanted_ = {1, 2, 3};
  join(2);
  join(3);
  pass(20);
  EXPECT_EQ(configuration(1), (Configuration{.voters = {1, 2, 3}}));
  EXPECT_EQ(configuration(3), (Configuration{.voters = {1, 2, 3}}));
  EXPECT_TRUE(member(1).durable.saved.several) << "what it stores is no more committed by that alone";
  EXPECT_EQ(committed(3, "before"), "1");
  // The first one is missed by nobody.
  crash(1);
  const auto next = elect();
  ASSERT_TRUE(next == 2 || next == 3);
  outcome.reset();
  ASSERT_TRUE(write(next, "after", "2", outcome));
  pass(2);
  ASSERT_TRUE(outcome && *outcome);
  start(1);
  pass(20);
  EXPECT_EQ(committed(1, "after"), "2");
  EXPECT_EQ(configuration(1), (Configuration{.voters = {1, 2, 3}})) << "the ledger says so";
}

TEST_F(MembershipTest, AllComeBackWithTheConfigurationThatTheLedgerSays)
{
  wanted_ = {1};
  begin(1);
  elect();
  wanted_ = {1, 2, 3};
  join(2);
  join(3);
  pass(20);
  wanted_ = {1, 2, 3, 4};
  join(4);
  pass(10);
  std::optional<Result<void>> outcome;
  const auto primary = elect();
  ASSERT_TRUE(write(primary, "key", "1", outcome));
  pass(3);
  ASSERT_TRUE(outcome && *outcome);
  for (const EngineId id : {1, 2, 3, 4})
    crash(id);
  for (const EngineId id : {1, 2, 3, 4})
    start(id);
  elect();
  pass(5);
  for (const EngineId id : {1, 2, 3, 4})
  {
    EXPECT_EQ(configuration(id), (Configuration{.voters = {1, 2, 3, 4}})) << id;
    EXPECT_EQ(committed(id, "key"), "1") << id;
  }
}

TEST_F(MembershipTest, AChangeThatWasStoredBeforeACrashIsAChangeWhenItIsAgreedOn)
{
  begin(3);
  const auto primary = elect();
  pass(3);
  const EngineId one = primary == 1 ? 2 : 1;
  const EngineId other = 6 - primary - one;
  members_[4] = std::make_unique<Member>(*this, 4); // never starts
  cut_off_ = {one, other};
  wanted_ = {1, 2, 3, 4};
  pass(2);
  ASSERT_TRUE(configuration(primary).learners.empty()) << "nobody has agreed";
  options_.wanted = {}; // nobody changes anything any more
  for (const EngineId id : {1, 2, 3})
    crash(id);
  start(primary);
  start(one);
  cut_off_ = {other};
  EXPECT_EQ(elect(), primary) << "the other one lacks the change";
  pass(3);
  for (const auto id : {primary, one})
    EXPECT_EQ(configuration(id), (Configuration{.voters = {1, 2, 3}, .learners = {4}})) << id;
}

TEST_F(MembershipTest, ANodeThatIsWantedNoMoreLeaves)
{
  begin(3);
  const auto primary = elect();
  const auto leaves = primary == 3 ? 2 : 3;
  std::erase(wanted_, leaves);
  pass(10);
  EXPECT_EQ(configuration(primary).role(leaves), Role::none);
  cut_off_.insert(leaves);
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(primary, "key", "1", outcome));
  pass(2);
  EXPECT_TRUE(outcome && *outcome);
}

TEST_F(MembershipTest, APrimaryThatIsWantedNoMoreHandsOverFirst)
{
  begin(3);
  const auto primary = elect();
  std::erase(wanted_, primary);
  pass(20);
  const auto next = elect();
  EXPECT_NE(next, primary);
  pass(10);
  EXPECT_EQ(configuration(next).role(primary), Role::none);
  EXPECT_EQ(configuration(next).voters.size(), 2U);
}

TEST_F(MembershipTest, WhoIsAloneAmongTheVotersAndNotYetPrimaryPromisesNothing)
{
  wanted_ = {1};
  begin(1);
  elect();
  EXPECT_TRUE(sequencer(1).when_primary([](const Result<void>&) {})) << "there is nobody to ask";
  crash(1);
  comes_back_ = true; // has not begun
  start(1);
  std::optional<Result<void>> outcome;
  EXPECT_FALSE(sequencer(1).when_primary([&](const Result<void>& told) { outcome = told; }));
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(*outcome);
}

TEST_F(MembershipTest, APrimaryThatStopsHandsOver)
{
  begin(3);
  const auto primary = elect();
  pass(3);
  const auto view = sequencer(primary).view();
  sequencer(primary).stop();
  // Whenever it asks for the time, some has passed, and what was sent has arrived.
  bool within = false;
  clock_.asked = [&]
  {
    if (std::exchange(within, true))
      return;
    clock_.passed += std::chrono::milliseconds(1);
    deliver_but(primary);
    within = false;
  };
  sequencer(primary).run();
  clock_.asked = {};
  member(primary).sequencer.reset();
  pass(3);
  const auto next = elect();
  EXPECT_NE(next, primary);
  EXPECT_EQ(sequencer(next).view(), view + 1);
}
}
