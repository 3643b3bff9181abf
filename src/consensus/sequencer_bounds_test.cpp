#include "consensus/test_sequencer.h"

#include <stdexcept>

/// What bounds what waits, and who is told.
namespace concordat::consensus
{
using namespace std::chrono_literals;

TEST_F(SequencerTest, ABatchHoldsNoMoreTransactionsThanItMay)
{
  options_.max_batch_transactions = 2;
  start();
  std::optional<bool> told[5];
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(write("key" + std::to_string(i), "1", told[i]));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{2, 3})) << "two and their signature";
  EXPECT_EQ(told[1], true);
  EXPECT_FALSE(told[2]);
  EXPECT_FALSE(committed("key2"));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{2, 6}));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{2, 8})) << "the last one did not have to wait for more";
  EXPECT_EQ(told[4], true);
  EXPECT_FALSE(sequencer_->step());
  files_.crash();
  start();
  EXPECT_EQ(committed("key4"), "1");
}

TEST_F(SequencerTest, ABatchHoldsNoMoreBytesThanItMayButForOneTransaction)
{
  options_.max_batch_bytes = 3000;
  start();
  std::optional<bool> told[4];
  ASSERT_TRUE(write("a", std::string(1000, 'a'), told[0]));
  ASSERT_TRUE(write("b", std::string(1000, 'b'), told[1]));
  ASSERT_TRUE(write("c", std::string(10'000, 'c'), told[2]));
  ASSERT_TRUE(write("d", std::string(100, 'd'), told[3]));
  sequencer_->step();
  EXPECT_EQ(told[1], true);
  EXPECT_FALSE(told[2]);
  sequencer_->step();
  EXPECT_EQ(told[2], true) << "larger than a batch, so it is one by itself";
  EXPECT_FALSE(told[3]);
  sequencer_->step();
  EXPECT_EQ(told[3], true);
}

TEST_F(SequencerTest, ThoseBeforeALargeTransactionDoNotWaitForIt)
{
  options_.large_entry_bytes = 10'000;
  start();
  std::optional<bool> told[4];
  ASSERT_TRUE(write("a", "1", told[0]));
  ASSERT_TRUE(write("b", std::string(9'000, 'b'), told[1]));
  const auto large = write("c", std::string(10'000, 'c'), told[2]);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->seqno, 4U) << "a signature stands between it and the one before";
  ASSERT_TRUE(write("d", "1", told[3]));
  sequencer_->step();
  EXPECT_EQ(told[0], true);
  EXPECT_EQ(told[1], true);
  EXPECT_FALSE(told[2]);
  sequencer_->step();
  EXPECT_EQ(told[2], true);
  EXPECT_EQ(told[3], true) << "those behind it go with it";
}

TEST_F(SequencerTest, EveryBatchInTheQueueIsLostWhenTheDiskFails)
{
  options_.max_batch_transactions = 1;
  start();
  std::optional<bool> told[3];
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(write("key" + std::to_string(i), "1", told[i]));
  files_.fail_next(base::DiskFault::no_space);
  EXPECT_FALSE(sequencer_->step());
  for (const auto& one : told)
    EXPECT_EQ(one, false);
  EXPECT_EQ(sequencer_->waiting(), 0U);
  clock_.passed += 2s;
  std::optional<bool> after;
  sequencer_->step();
  EXPECT_EQ(write("after", "1", after)->view, 3U);
  sequencer_->step();
  EXPECT_EQ(after, true);
}

TEST_F(SequencerTest, AnEntryThatIsTooLargeIsRefusedToItsAuthorBeforeItIsOrdered)
{
  options_.max_entry_bytes = 2000;
  start();
  std::optional<bool> large;
  const auto refused = write("large", std::string(2000, 'x'), large);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid) << "trying again does not help";
  EXPECT_NE(refused.error().message.find("2000"), std::string::npos) << "it names the bound";
  EXPECT_EQ(store_->head_seqno(), 0U);
  EXPECT_EQ(sequencer_->waiting(), 0U);
  std::optional<bool> small;
  ASSERT_TRUE(write("small", "x", small));
  sequencer_->step();
  EXPECT_EQ(small, true);
  EXPECT_FALSE(large);
}

TEST_F(SequencerTest, TheBoundOfAnEntryIsThatOfItsBytesInTheLedger)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("key", "value", outcome));
  sequencer_->step();
  const auto size = sequencer_->read(1)->size();
  options_.max_entry_bytes = size;
  start();
  EXPECT_TRUE(write("key", "value", outcome));
  const auto larger = write("key", "value1", outcome);
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code, ErrorCode::invalid);
  sequencer_->step();
}

TEST_F(SequencerTest, WhatWaitsIsBoundedInBytes)
{
  options_.max_uncommitted_bytes = 3000;
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", std::string(1000, 'a'), outcome));
  ASSERT_TRUE(write("b", std::string(1000, 'b'), outcome));
  const auto refused = write("c", std::string(1000, 'c'), outcome);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_TRUE(write("d", "d", outcome)) << "it is refused to who asks too much";
  sequencer_->step();
  ASSERT_TRUE(write("c", std::string(3000, 'c'), outcome)) << "alone even what is larger than the bound gets through";
  sequencer_->step();
  EXPECT_EQ(outcome, true);
}

TEST_F(SequencerTest, WhatGetsNoPlaceTakesNoRoom)
{
  options_.max_uncommitted = 1;
  start();
  const auto reader = store_->begin_fresh();
  (void)reader->get("map", "a");
  reader->put("map", "b", "1");
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  EXPECT_EQ(sequencer_->submit(*reader, {}, {}).error().code, ErrorCode::conflict);
  const auto thrower = store_->begin_fresh();
  thrower->put("map", "c", "1");
  EXPECT_THROW(
      (void)sequencer_->submit(*thrower, [](TxId) { throw std::runtime_error("no memory"); }, {}), std::runtime_error);
  EXPECT_EQ(sequencer_->waiting(), 0U);
  EXPECT_EQ(write("d", "1", outcome), (TxId{2, 3})) << "the place is free";
  sequencer_->step();
  EXPECT_EQ(outcome, true);
}

TEST_F(SequencerTest, WhoIsAnsweredFindsRoomAndReadsHisOwnWrite)
{
  options_.max_uncommitted = 1;
  start();
  const auto transaction = store_->begin_fresh();
  transaction->put("map", "a", "1");
  std::optional<std::string> read;
  bool again = false;
  ASSERT_TRUE(sequencer_->submit(
      *transaction, {},
      [&](const Result<void>& outcome)
      {
        ASSERT_TRUE(outcome);
        read = committed("a");
        const auto next = store_->begin_fresh();
        next->put("map", "b", "1");
        again = sequencer_->submit(*next, {}, {}).has_value();
      }));
  sequencer_->step();
  EXPECT_EQ(read, "1");
  EXPECT_TRUE(again);
  sequencer_->step();
}

TEST_F(SequencerTest, ATransactionThatCannotBeEncodedEndsTheViewAndWedgesNothing)
{
  bool fails = false;
  options_.placed = [&](TxId)
  {
    if (fails)
      throw std::runtime_error("no memory");
  };
  start();
  std::optional<bool> before;
  std::optional<bool> broken;
  std::optional<bool> behind;
  ASSERT_TRUE(write("before", "1", before));
  fails = true;
  EXPECT_TRUE(write("broken", "1", broken)) << "it has a place, so its author is told later";
  fails = false;
  ASSERT_TRUE(write("behind", "1", behind));
  EXPECT_FALSE(sequencer_->step());
  EXPECT_EQ(before, false);
  EXPECT_EQ(broken, false);
  EXPECT_EQ(behind, false);
  EXPECT_FALSE(sequencer_->can_write());
  clock_.passed += 2s;
  sequencer_->step();
  std::optional<bool> after;
  // Behind the record of where the view stands in the log.
  EXPECT_EQ(write("after", "1", after), (TxId{3, 3})) << "the seqno again, in another view";
  sequencer_->step();
  EXPECT_EQ(after, true);
  EXPECT_FALSE(committed("broken"));
}

TEST_F(SequencerTest, OneReceiverThatThrowsHarmsNobodyElse)
{
  start();
  int thrown = 0;
  const auto throws = [&](const Result<void>&)
  {
    ++thrown;
    throw std::runtime_error("the caller is gone");
  };
  const auto transaction = store_->begin_fresh();
  transaction->put("map", "a", "1");
  ASSERT_TRUE(sequencer_->submit(*transaction, {}, throws));
  std::optional<bool> other;
  ASSERT_TRUE(write("b", "1", other));
  sequencer_->when_committed({2, 1}, throws);
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(other, true);
  EXPECT_EQ(thrown, 2);
}

TEST_F(SequencerTest, OldSignaturesAreFoundInTheLedger)
{
  start();
  std::optional<bool> outcome;
  std::vector<Seqno> all;
  for (int i = 0; i < 5; ++i)
  {
    ASSERT_TRUE(write("a", "1", outcome));
    ASSERT_TRUE(write("b", "1", outcome));
    sequencer_->step();
    all.push_back(sequencer_->committed().seqno);
  }
  const auto read = [&](Seqno seqno) { return sequencer_->read(seqno); };
  SignatureIndex index(all, 2);
  EXPECT_EQ(index.size(), 2U);
  EXPECT_EQ(index.newest(), all.back());
  for (Seqno seqno = 1; seqno <= all.back(); ++seqno)
  {
    const auto expected = *std::lower_bound(all.begin(), all.end(), seqno);
    EXPECT_EQ(index.must_read(seqno), seqno <= all[2]) << seqno;
    EXPECT_EQ(find_signature(seqno, all.back(), read).value(), expected) << seqno;
    EXPECT_EQ(index.find(seqno), index.must_read(seqno) ? std::nullopt : std::optional(expected)) << seqno;
    EXPECT_EQ(sequencer_->signature_covering(seqno).value(), expected) << seqno;
  }
  EXPECT_FALSE(index.find(all.back() + 1));
  EXPECT_FALSE(find_signature(all.back() + 1, all.back(), read).value());
}

TEST_F(SequencerTest, TheFirstBatchOfAViewBeginsWithWhatWasSubmittedBeforeIt)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  start();
  // A start from sealed state says here under which secret it writes: no signature may come before.
  EXPECT_EQ(write("secret", "1", outcome), (TxId{3, 3}));
  EXPECT_EQ(sequencer_->committed(), (TxId{2, 2}));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{3, 4}));
}
}
