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
}
