#include "consensus/test_replica.h"

/// What a replica promises while its disk is written elsewhere, and slowly.
namespace concordat::consensus
{
namespace
{
struct DiskTest : ThreeTest
{
  DiskTest()
  {
    with_disks = true;
  }
};
}

TEST_F(DiskTest, ABackupSaysNothingOfWhatIsNotDurable)
{
  hung.insert(2);
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  pass(2);
  EXPECT_EQ(node(1).committed, (std::vector<TxId>{{2, 2}})) << "two of three have it";
  EXPECT_EQ(node(3).committed, (std::vector<TxId>{{2, 2}}));
  EXPECT_TRUE(node(2).committed.empty()) << "it knows that the others agree, and does not have it on its disk";
  for (const auto& other : node(1).replica->agreement().progress)
    if (other.id == 2)
    {
      EXPECT_LT(other.matched, node(1).replica->last_index());
      EXPECT_TRUE(other.active) << "it still answers heartbeats";
    }
  hung.clear();
  pass(1);
  EXPECT_EQ(node(2).committed, (std::vector<TxId>{{2, 2}}));
}

TEST_F(DiskTest, APrimaryWhoseDiskHangsSendsHeartbeatsAndCommitsNothing)
{
  hung.insert(1);
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  for (int i = 0; i < 3; ++i)
  {
    pass(10);
    EXPECT_TRUE(node(1).replica->leads()) << "the others hear it";
  }
  EXPECT_TRUE(node(1).committed.empty()) << "the others have it, and this one could still lose it";
  EXPECT_TRUE(node(1).replica->disk_hangs());
  hung.clear();
  pass(1);
  EXPECT_EQ(node(1).committed, (std::vector<TxId>{{2, 2}}));
  EXPECT_FALSE(node(1).replica->disk_hangs());
}

TEST_F(DiskTest, ADiskWithoutWorkDoesNotHang)
{
  hung.insert(1);
  pass(20);
  EXPECT_FALSE(node(1).replica->disk_hangs());
}

TEST_F(DiskTest, WhoStepsDownIsFollowedByAnother)
{
  ASSERT_TRUE(node(1).replica->step_down());
  EXPECT_FALSE(node(1).replica->leads());
  hung.insert(1);
  pass(60);
  EXPECT_TRUE(node(2).replica->leads() != node(3).replica->leads());
}

TEST_F(DiskTest, WhoIsStillWritingDoesNotCampaign)
{
  hung.insert(2);
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  cut_off = {1, 3};
  pass(60);
  EXPECT_EQ(node(2).replica->term(), 2U);
  EXPECT_EQ(node(2).saved.term, 2U);
}

TEST_F(DiskTest, RoundsThatGatherAreSyncedTogether)
{
  int syncs = 0;
  node(1).files.set_hook([&](std::string_view operation, const base::Path&) { syncs += operation == "sync" ? 1 : 0; });
  hung.insert(1);
  for (Seqno last = 0; last < 10; last += 2)
    ASSERT_TRUE(propose(1, make_batch(2, last)));
  hung.clear();
  deliver();
  EXPECT_EQ(node(1).committed.size(), 5U);
  EXPECT_EQ(syncs, 1);
  node(1).files.crash();
  EXPECT_EQ(ledger::ChunkFiles::open(node(1).files, "ledger", secrets()).value()->last(), 10U);
}

TEST_F(DiskTest, TheStateIsWrittenBeforeTheEntriesOfItsTerm)
{
  bool written = false;
  node(2).files.set_hook(
      [&](std::string_view, const base::Path&)
      {
        written = true;
        EXPECT_EQ(node(2).saved.last_opened().term, 3U);
      });
  cut_off = {1};
  hung.insert(2);
  for (int i = 0; i < 100 && node(2).replica->term() < 3; ++i)
  {
    ASSERT_TRUE(node(3).replica->campaign());
    hung.clear();
    pass(1);
    hung.insert(2);
  }
  ASSERT_TRUE(node(3).replica->leads());
  ASSERT_EQ(node(3).replica->term(), 3U);
  ASSERT_TRUE(propose(3, make_batch(3, 0)));
  deliver();
  EXPECT_FALSE(written);
  hung.clear();
  pass(1);
  EXPECT_TRUE(written);
}

TEST_F(DiskTest, AFailureElsewhereEndsTheReplica)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  const auto batch = make_batch(2, 2);
  node(1).files.fail_next(base::DiskFault::sync_error);
  ASSERT_TRUE(propose(1, batch));
  ASSERT_TRUE(node(1).disk.work());
  const auto stored = node(1).replica->take_stored();
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, ErrorCode::io);
  EXPECT_EQ(node(1).committed.size(), 1U);
  EXPECT_EQ(node(1).replica->abandon(), std::vector{batch});
  EXPECT_FALSE(node(1).replica->runs());
  EXPECT_FALSE(node(1).replica->is_storing());
}

TEST_F(DiskTest, WhatIsAbandonedIsNotWritten)
{
  hung.insert(1);
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  EXPECT_EQ(node(1).replica->abandon().size(), 1U);
  EXPECT_TRUE(node(1).replica->is_storing()) << "nobody may touch the files before its turn has come";
  EXPECT_TRUE(node(1).disk.work());
  EXPECT_FALSE(node(1).replica->is_storing());
  EXPECT_EQ(node(1).chunks->last(), 0U);
}

TEST_F(DiskTest, CutsAreInOrderWithWrites)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  pass(1);
  cut_off.insert(1);
  hung.insert(1);
  ASSERT_TRUE(propose(1, make_batch(2, 2, 5)));
  for (int i = 0; i < 50 && !node(2).replica->leads() && !node(3).replica->leads(); ++i)
    pass(1);
  const EngineId next = node(2).replica->leads() ? 2 : 3;
  const auto view = node(next).replica->term();
  ASSERT_TRUE(propose(next, make_batch(view, 2)));
  deliver();
  cut_off.clear();
  pass(5);
  EXPECT_EQ(node(1).committed, (std::vector<TxId>{{2, 2}}));
  hung.clear();
  pass(2);
  EXPECT_EQ(node(1).committed, (std::vector<TxId>{{2, 2}, {view, 4}}));
  EXPECT_EQ(node(1).chunks->last(), 4U);
  EXPECT_EQ(node(1).chunks->read(3).value(), node(next).chunks->read(3).value());
}

TEST_F(DiskTest, TooMuchThatWaitsIsNotTaken)
{
  hung.insert(2);
  for (Seqno last = 0; last < 40; last += 2)
  {
    known[make_batch(2, last)->descriptor.digest] = make_batch(2, last);
    ASSERT_TRUE(node(1).replica->propose(make_batch(2, last)));
    store(1);
    store(3);
    for (const auto& message : std::exchange(node(1).sent, {}))
    {
      std::vector<std::shared_ptr<const Batch>> beside;
      for (const auto& entry : message.entries)
        if (entry.batch)
          beside.push_back(known.at(entry.batch->digest));
      const auto received = node(message.to).replica->receive(message.bytes, beside);
      if (!received)
      {
        EXPECT_EQ(received.error().code, ErrorCode::limit);
        EXPECT_EQ(message.to, 2U);
        hung.clear();
      }
    }
    if (hung.empty())
      break;
  }
  EXPECT_TRUE(hung.empty()) << "there is a bound";
  pass(5);
  EXPECT_EQ(node(2).committed, node(1).committed) << "and what was not taken is sent again";
  EXPECT_EQ(node(2).chunks->last(), node(1).chunks->last());
}
}
