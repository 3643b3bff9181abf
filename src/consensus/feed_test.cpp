#include "consensus/test_sequencer.h"

#include <vector>

namespace concordat::consensus
{
TEST_F(SequencerTest, TheFeedGivesWhatWasCommittedInOrder)
{
  start();
  std::optional<bool> outcome;
  auto reader = sequencer_->feed().from(1);
  EXPECT_FALSE(reader.next().value());
  std::vector<TxId> woken;
  {
    const auto subscription = sequencer_->feed().subscribe([&](TxId txid) { woken.push_back(txid); });
    ASSERT_TRUE(write("a", "1", outcome));
    ASSERT_TRUE(write("b", "2", outcome));
    EXPECT_FALSE(reader.next().value()) << "nothing is given before it is committed";
    sequencer_->step();
    EXPECT_EQ(woken, (std::vector<TxId>{{2, 3}}));
  }
  const auto first = reader.next().value().value();
  EXPECT_EQ(first.txid, (TxId{2, 1}));
  EXPECT_EQ(first.writes, (kv::WriteSet{{"map", {{"a", "1"}}}})) << "what is private is decrypted";
  EXPECT_FALSE(first.is_signature);
  EXPECT_EQ(reader.next().value().value().txid, (TxId{2, 2}));
  EXPECT_TRUE(reader.next().value().value().is_signature);
  EXPECT_FALSE(reader.next().value());
  EXPECT_EQ(reader.position(), 4U);

  ASSERT_TRUE(write("c", "3", outcome));
  sequencer_->step();
  EXPECT_EQ(woken.size(), 1U) << "a subscription ends with its object";
  EXPECT_EQ(reader.next().value().value().txid, (TxId{2, 4}));
  auto late = sequencer_->feed().from(2);
  EXPECT_EQ(late.next().value().value().txid, (TxId{2, 2})) << "who begins late misses nothing";
}

TEST_F(SequencerTest, TheFeedGoesOnAfterARestartAndGivesNothingThatWasLost)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  files_.fail_next(base::DiskFault::no_space);
  ASSERT_TRUE(write("lost", "1", outcome));
  sequencer_->step();
  start();
  sequencer_->step();
  auto reader = sequencer_->feed().from(1);
  std::vector<TxId> all;
  while (auto next = reader.next().value())
  {
    EXPECT_FALSE(next->writes.contains("map") && next->writes["map"].contains("lost"));
    all.push_back(next->txid);
  }
  EXPECT_EQ(all, (std::vector<TxId>{{2, 1}, {2, 2}, {3, 3}}));
}
}
