#include "consensus/test_replica.h"

namespace concordat::consensus
{
using namespace std::chrono_literals;

TEST_F(AloneTest, LeadsWhenItWantsToAndCommitsWhatItHasStored)
{
  ASSERT_TRUE(node.replica->campaign());
  EXPECT_TRUE(node.replica->leads());
  EXPECT_EQ(node.replica->term(), 2U);
  EXPECT_EQ(node.saved.last_opened().term, 2U) << "sealed before anything is written in it";
  ASSERT_TRUE(node.replica->propose(make_batch(2, 0)));
  ASSERT_TRUE(node.replica->propose(make_batch(2, 2)));
  EXPECT_EQ(node.committed, (std::vector<TxId>{{2, 2}, {2, 4}}));
  EXPECT_EQ(node.chunks->last(), 4U);
  node.files.crash();
  EXPECT_EQ(ledger::ChunkFiles::open(node.files, "ledger", secrets()).value()->last(), 4U);
}

TEST_F(AloneTest, OpensNoTermThatItCannotSeal)
{
  node.save_fails = true;
  const auto refused = node.replica->campaign();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_space);
  EXPECT_EQ(node.saved, DurableState{});
  EXPECT_TRUE(node.replica->abandon().empty());
  node.save_fails = false;
  ASSERT_TRUE(node.replica->start());
  ASSERT_TRUE(node.replica->campaign());
  EXPECT_EQ(node.replica->term(), 2U);
}

TEST_F(AloneTest, GivesBackWhatWasInFlightWhenTheDiskFails)
{
  ASSERT_TRUE(node.replica->campaign());
  ASSERT_TRUE(node.replica->propose(make_batch(2, 0)));
  node.files.fail_next(base::DiskFault::sync_error);
  const auto batch = make_batch(2, 2);
  const auto proposed = node.replica->propose(batch);
  ASSERT_FALSE(proposed);
  EXPECT_EQ(proposed.error().code, ErrorCode::io);
  EXPECT_EQ(node.replica->abandon(), std::vector{batch});
  EXPECT_EQ(node.committed.size(), 1U);
  EXPECT_FALSE(node.replica->runs());
  const auto last = ledger::parse_entry(make_batch(2, 0)->entries().back())->leaf();
  ASSERT_TRUE(node.ledger->reopen(2, &last));
  node.invariants.cut(2);
  ASSERT_TRUE(node.replica->start());
  ASSERT_TRUE(node.replica->campaign());
  EXPECT_EQ(node.replica->term(), 3U);
  ASSERT_TRUE(node.replica->propose(make_batch(3, 2)));
  EXPECT_EQ(node.committed.back(), (TxId{3, 4}));
}

TEST_F(AloneTest, AnswersEveryReadOnce)
{
  node.replica->read(1);
  EXPECT_EQ(node.reads, (std::vector<std::pair<std::uint64_t, bool>>{{1, false}})) << "it does not lead yet";
  ASSERT_TRUE(node.replica->campaign());
  node.replica->read(2);
  EXPECT_EQ(node.reads.back(), (std::pair<std::uint64_t, bool>{2, true}));
  (void)node.replica->abandon();
  node.replica->read(3);
  EXPECT_EQ(node.reads.back(), (std::pair<std::uint64_t, bool>{3, false}));
  EXPECT_EQ(node.reads.size(), 3U);
}

TEST_F(AloneTest, ForgetsOldDescriptorsAndKeepsSome)
{
  ASSERT_TRUE(node.replica->campaign());
  for (Seqno last = 0; last < 2 * 2500; last += 2)
    ASSERT_TRUE(node.replica->propose(make_batch(2, last)));
  EXPECT_EQ(node.committed.size(), 2500U);
  EXPECT_GT(node.replica->first_index(), 500U);
  EXPECT_LE(node.replica->first_index(), 1501U);
  EXPECT_EQ(node.replica->batch(make_batch(2, 0)->descriptor), nullptr);
}

TEST_F(ThreeTest, AllStoreWhatIsAgreedOn)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  EXPECT_TRUE(node(1).committed.empty()) << "one of three is no majority";
  EXPECT_NE(node(1).replica->batch(make_batch(2, 0)->descriptor), nullptr) << "it is in flight";
  ASSERT_TRUE(propose(1, make_batch(2, 2)));
  deliver();
  pass(2);
  for (EngineId id = 1; id <= 3; ++id)
  {
    EXPECT_EQ(node(id).committed, (std::vector<TxId>{{2, 2}, {2, 4}})) << id;
    EXPECT_EQ(node(id).chunks->read(3).value(), known.at(make_batch(2, 2)->descriptor.digest)->entries()[0]) << id;
  }
}

TEST_F(ThreeTest, ABackupThatCouldNotStoreSaysNothing)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  auto& backup = node(2);
  const auto message = std::ranges::find_if(node(1).sent, [](const Message& one) { return one.to == 2; });
  ASSERT_NE(message, node(1).sent.end());
  backup.files.fail_next(base::DiskFault::sync_error);
  const std::vector beside{known.begin()->second};
  EXPECT_FALSE(backup.replica->receive(message->bytes, beside));
  EXPECT_TRUE(backup.sent.empty()) << "nobody may count on what is not on the disk";
}

TEST_F(ThreeTest, AVoteThatCannotBeSealedIsNotGiven)
{
  for (const bool fails : {true, false})
  {
    SCOPED_TRACE(fails);
    nodes.clear();
    cut_off.clear();
    SetUp();
    ASSERT_TRUE(node(1).replica->leads());
    cut_off.insert(1);
    node(1).sent.clear();
    node(2).save_fails = fails;
    // As long as it has heard of a primary no voter gives another one its vote.
    for (int tick = 0; tick < 10; ++tick)
    {
      clock.passed += 100ms;
      ASSERT_TRUE(node(2).replica->tick());
    }
    node(2).sent.clear();
    ASSERT_TRUE(node(3).replica->campaign());
    for (int round = 0; round < 3 && node(2).refused_saves == 0; ++round)
    {
      for (const auto& message : std::exchange(node(3).sent, {}))
        if (message.to == 2)
        {
          const bool received = node(2).replica->receive(message.bytes, {}).has_value();
          EXPECT_EQ(received, node(2).refused_saves == 0);
        }
      for (const auto& answer : std::exchange(node(2).sent, {}))
        if (answer.to == 3)
        {
          ASSERT_TRUE(node(3).replica->receive(answer.bytes, {}));
        }
    }
    EXPECT_EQ(node(2).refused_saves, fails ? 1 : 0) << "it is asked for its vote";
    EXPECT_EQ(node(2).saved.vote == 3, !fails);
    EXPECT_EQ(node(3).replica->leads(), !fails);
  }
}

TEST_F(ThreeTest, WhatADeposedPrimaryWroteAloneIsCutAndReplaced)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  pass(1);
  cut_off.insert(1);
  ASSERT_TRUE(propose(1, make_batch(2, 2, 5)));
  deliver();
  EXPECT_EQ(node(1).chunks->last(), 7U) << "stored, and agreed on by nobody else";
  for (int i = 0; i < 50 && !node(2).replica->leads() && !node(3).replica->leads(); ++i)
    pass(1);
  const EngineId next = node(2).replica->leads() ? 2 : 3;
  const auto view = node(next).replica->term();
  ASSERT_GT(view, 2U);
  ASSERT_TRUE(propose(next, make_batch(view, 2)));
  deliver();
  EXPECT_EQ(node(next).committed.back(), (TxId{view, 4}));
  cut_off.clear();
  pass(5);
  EXPECT_EQ(node(1).committed, (std::vector<TxId>{{2, 2}, {view, 4}}));
  EXPECT_EQ(node(1).chunks->last(), 4U);
  EXPECT_EQ(node(1).chunks->read(3).value(), node(next).chunks->read(3).value());
}

TEST_F(ThreeTest, AMessageWithoutItsBatchChangesNothing)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  const auto message = std::ranges::find_if(node(1).sent, [](const Message& one) { return one.to == 2; });
  ASSERT_NE(message, node(1).sent.end());
  const auto refused = node(2).replica->receive(message->bytes, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_found);
  EXPECT_EQ(node(2).chunks->last(), 0U);
  deliver();
  pass(1);
  EXPECT_EQ(node(2).committed, (std::vector<TxId>{{2, 2}})) << "and it is taken with it";
}

TEST_F(ThreeTest, ALateMessageOfADeposedPrimaryStoresNothing)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  const auto late = *std::ranges::find_if(node(1).sent, [](const Message& one) { return one.to == 3; });
  cut_off.insert(1);
  node(1).sent.clear();
  for (int i = 0; i < 50 && !node(2).replica->leads() && !node(3).replica->leads(); ++i)
    pass(1);
  const EngineId next = node(2).replica->leads() ? 2 : 3;
  const auto view = node(next).replica->term();
  ASSERT_TRUE(propose(next, make_batch(view, 0, 3)));
  deliver();
  pass(1);
  ASSERT_EQ(node(3).committed, (std::vector<TxId>{{view, 3}}));
  const std::vector beside{known.at(make_batch(2, 0)->descriptor.digest)};
  EXPECT_TRUE(node(3).replica->receive(late.bytes, beside));
  EXPECT_EQ(node(3).chunks->last(), 3U);
  EXPECT_EQ(node(3).replica->batch(beside[0]->descriptor), nullptr) << "and it is held no longer";
}

TEST_F(ThreeTest, WhatAnotherKnowsToBeCommittedIsCommittedIfItIsInTheLog)
{
  auto& backup = node(3);
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  // It stores the entry, and does not hear that others have too.
  hand_over(*std::ranges::find_if(node(1).sent, [](const Message& one) { return one.to == 3; }));
  cut_off.insert(3);
  deliver();
  ASSERT_EQ(node(1).committed.size(), 1U);
  ASSERT_TRUE(backup.committed.empty());
  const auto there = node(1).replica->last_applied();
  EXPECT_EQ(there, backup.replica->last());
  EXPECT_TRUE(backup.replica->learn_committed({there.term + 1, there.index}));
  EXPECT_TRUE(backup.replica->learn_committed({there.term, there.index + 1}));
  EXPECT_TRUE(backup.committed.empty()) << "its log may hold something else there";
  EXPECT_TRUE(backup.replica->learn_committed(there));
  EXPECT_EQ(backup.committed, node(1).committed);
  EXPECT_TRUE(backup.replica->learn_committed(there)) << "again, with no effect";
}

TEST_F(ThreeTest, ALeaderIsHeardUntilItHasBeenSilentForATimeOut)
{
  pass(2);
  EXPECT_TRUE(node(1).replica->hears_leader());
  EXPECT_TRUE(node(2).replica->hears_leader());
  // It cannot be elected itself, and so does not notice otherwise.
  node(2).replica->rest();
  ASSERT_TRUE(node(2).replica->start_again(2, node(2).replica->term(), 3));
  pass(2);
  EXPECT_TRUE(node(2).replica->hears_leader());
  cut_off.insert(1);
  cut_off.insert(3);
  pass(12);
  EXPECT_NE(node(2).replica->leader(), 0U);
  EXPECT_FALSE(node(2).replica->hears_leader());
}

TEST_F(ThreeTest, AReadIsFreshOnceAMajorityHasAnswered)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  node(1).replica->read(7);
  EXPECT_TRUE(node(1).reads.empty());
  deliver();
  EXPECT_EQ(node(1).reads, (std::vector<std::pair<std::uint64_t, bool>>{{7, true}}));
  node(2).replica->read(8);
  EXPECT_EQ(node(2).reads, (std::vector<std::pair<std::uint64_t, bool>>{{8, false}})) << "it does not lead";
}

TEST_F(ThreeTest, AReadOfADeposedPrimaryIsNotFresh)
{
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  cut_off.insert(1);
  node(1).replica->read(7);
  pass(50);
  EXPECT_FALSE(node(1).replica->leads());
  EXPECT_EQ(node(1).reads, (std::vector<std::pair<std::uint64_t, bool>>{{7, false}}));
}

TEST_F(ThreeTest, ATimeOutElectsAnotherPrimary)
{
  cut_off.insert(1);
  pass(60);
  EXPECT_TRUE(node(2).replica->leads() != node(3).replica->leads());
}

TEST_F(ThreeTest, GarbageIsRefusedAndHarmsNothing)
{
  EXPECT_EQ(node(2).replica->receive("garbage", {}).error().code, ErrorCode::invalid);
  cut_off.insert(3); // so that nothing is committed without it
  ASSERT_TRUE(propose(1, make_batch(2, 0)));
  deliver();
  EXPECT_EQ(node(1).committed.size(), 1U);
}
}
