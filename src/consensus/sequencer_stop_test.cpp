#include "consensus/test_sequencer.h"

#include <atomic>
#include <stdexcept>
#include <thread>

/// Stopping and broken: everybody is told, nobody waits for ever, and nothing that has died looks alive.
namespace concordat::consensus
{
using namespace std::chrono_literals;

TEST_F(SequencerTest, WhoWaitsForAStateIsToldWhenItsNodeBreaks)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  std::optional<ErrorCode> told;
  const auto tell = [&](const Result<void>& result)
  { told = result ? std::nullopt : std::optional(result.error().code); };
  sequencer_->when_committed({2, 1}, tell);
  EXPECT_FALSE(told);
  files_.fail_next(base::DiskFault::no_space);
  sequencer_->step();
  EXPECT_EQ(told, ErrorCode::unavailable) << "the disk may hold it: nobody knows";
  told.reset();
  sequencer_->when_committed({2, 1}, tell);
  EXPECT_EQ(told, ErrorCode::unavailable) << "and at once while it is broken";
  bool known = false;
  sequencer_->when_committed({}, [&](const Result<void>& result) { known = result.has_value(); });
  EXPECT_TRUE(known) << "the empty state is committed";
}

TEST_F(SequencerTest, WhoAsksForWhatIsNotThereIsToldAtOnce)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  for (const TxId id : {TxId{2, 99}, TxId{7, 1}, TxId{7, 99}})
  {
    std::optional<bool> told;
    sequencer_->when_committed(id, [&](const Result<void>& result) { told = result.has_value(); });
    EXPECT_EQ(told, false) << id.to_string();
  }
}

TEST_F(SequencerTest, WhatWasSubmittedBeforeAStopIsCommittedAndTheRestRefused)
{
  start();
  std::optional<bool> before;
  ASSERT_TRUE(write("before", "1", before));
  sequencer_->stop();
  std::optional<bool> after;
  const auto late = write("after", "1", after);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unavailable);
  sequencer_->run();
  EXPECT_EQ(before, true);
  EXPECT_FALSE(after);
  EXPECT_FALSE(sequencer_->can_write());
  std::optional<bool> committed_before;
  sequencer_->when_committed({2, 1}, [&](const Result<void>& result) { committed_before = result.has_value(); });
  EXPECT_EQ(committed_before, true);
}

TEST_F(SequencerTest, AStopWhileTheDiskIsBrokenAnswersEverybody)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  files_.fail_next(base::DiskFault::no_space);
  sequencer_->step();
  EXPECT_EQ(outcome, false);
  sequencer_->stop();
  sequencer_->run();
  std::optional<bool> told;
  sequencer_->when_committed({2, 1}, [&](const Result<void>& result) { told = result.has_value(); });
  EXPECT_EQ(told, false);
}

TEST_F(SequencerTest, NobodyWhoGetsInWhileItStopsIsForgotten)
{
  for (int round = 0; round < 20; ++round)
  {
    files_.crash();
    start();
    std::atomic<int> taken{0};
    std::atomic<int> told{0};
    std::atomic<bool> begun{false};
    const auto count = [&](const Result<void>&) { ++told; };
    std::thread submitting(
        [&]
        {
          while (true)
          {
            const auto transaction = store_->begin();
            transaction->put("map", "key", "value");
            const auto id = sequencer_->submit(*transaction, {}, count);
            if (!id)
              return;
            taken += 2;
            sequencer_->when_committed(*id, count);
            begun = true;
          }
        });
    std::thread sequencing([&] { sequencer_->run(); });
    while (!begun)
      std::this_thread::yield();
    sequencer_->stop();
    sequencing.join();
    submitting.join();
    ASSERT_EQ(told, taken);
    ASSERT_EQ(sequencer_->waiting(), 0U);
  }
}

TEST_F(SequencerTest, AFailedFirstSignatureLeavesTheThreadAtRest)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  start();
  files_.fail_next(base::DiskFault::no_space);
  std::atomic<int> looks{0};
  clock_.asked = [&] { ++looks; };
  std::thread sequencing([&] { sequencer_->run(); });
  while (sequencer_->can_write())
    std::this_thread::yield();
  std::this_thread::sleep_for(300ms); // a loop that does not rest looks a hundred thousand times
  sequencer_->stop();
  sequencing.join();
  EXPECT_LT(looks, 100);
  EXPECT_FALSE(sequencer_->can_write());
}

TEST_F(SequencerTest, AFailedFirstSignatureIsMadeAgainInANewView)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  start();
  EXPECT_EQ(sequencer_->view(), 3U);
  files_.fail_next(base::DiskFault::sync_error);
  EXPECT_FALSE(sequencer_->step());
  clock_.passed += 2s;
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{4, 4})) << "the record of where the view stands comes first";
  EXPECT_FALSE(sequencer_->step()) << "once";
}

TEST_F(SequencerTest, AStatusIsFinalOnceItIsCommittedOrInvalid)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  files_.fail_next(base::DiskFault::no_space);
  ASSERT_TRUE(write("lost", "1", outcome));
  EXPECT_EQ(sequencer_->status({2, 3}), TxStatus::pending);
  sequencer_->step();
  clock_.passed += 2s;
  sequencer_->step();
  EXPECT_EQ(sequencer_->status({2, 1}), TxStatus::committed);
  EXPECT_EQ(sequencer_->status({2, 3}), TxStatus::invalid);
  EXPECT_EQ(sequencer_->status({3, 3}), TxStatus::committed);
}

TEST_F(SequencerTest, WhatIsReadFromTheLedgerIsCommitted)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  EXPECT_EQ(sequencer_->read(1).error().code, ErrorCode::not_found);
  EXPECT_FALSE(sequencer_->signature_covering(1).value());
  sequencer_->step();
  EXPECT_TRUE(sequencer_->read(1));
  EXPECT_EQ(sequencer_->read(3).error().code, ErrorCode::not_found);
}

using SequencerDeathTest = SequencerTest;

TEST_F(SequencerDeathTest, AThreadThatMeetsTheImpossibleEndsTheProcess)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  files_.set_hook([](std::string_view, const base::Path&) { throw std::runtime_error("out of memory"); });
  EXPECT_DEATH(sequencer_->run(), "the thread that orders transactions ends: out of memory");
  files_.set_hook({});
  sequencer_->step();
}
}
