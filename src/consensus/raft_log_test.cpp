#include "consensus/raft_log.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
namespace
{
LogEntry entry(Index index, View term)
{
  return {index, term, Descriptor{index, index, 1, {}}};
}

TEST(RaftLog, IsEmptyAtTheBeginningOfAService)
{
  const RaftLog log;
  EXPECT_EQ(log.first_index(), 1U);
  EXPECT_EQ(log.last_index(), 0U);
  EXPECT_EQ(log.term(0), View{0});
  EXPECT_EQ(log.term(1), std::nullopt);
}

TEST(RaftLog, HoldsWhatIsAppended)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2), entry(2, 2)});
  log.append(std::vector{entry(3, 5)});
  log.append({});
  EXPECT_EQ(log.last_index(), 3U);
  EXPECT_EQ(log.entry(2), entry(2, 2));
  EXPECT_EQ(log.term(3), View{5});
  EXPECT_EQ(log.term(4), std::nullopt);
}

TEST(RaftLog, ReplacesFromTheFirstIndexOfAnAppend)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2), entry(2, 2), entry(3, 2), entry(4, 2)});
  log.append(std::vector{entry(2, 3)});
  EXPECT_EQ(log.last_index(), 2U);
  EXPECT_EQ(log.term(1), View{2});
  EXPECT_EQ(log.term(2), View{3});
  EXPECT_EQ(log.term(3), std::nullopt);
}

TEST(RaftLog, CompactionKeepsTheTermBeforeTheFirstEntry)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2), entry(2, 3), entry(3, 4)});
  log.compact(2);
  EXPECT_EQ(log.base(), 2U);
  EXPECT_EQ(log.first_index(), 3U);
  EXPECT_EQ(log.last_index(), 3U);
  EXPECT_EQ(log.term(1), std::nullopt);
  EXPECT_EQ(log.term(2), View{3});
  EXPECT_EQ(log.entry(3), entry(3, 4));
  log.compact(1);
  EXPECT_EQ(log.first_index(), 3U);
  log.compact(3);
  EXPECT_EQ(log.first_index(), 4U);
  EXPECT_EQ(log.last_index(), 3U);
  log.append(std::vector{entry(4, 4)});
  EXPECT_EQ(log.entry(4), entry(4, 4));
}

TEST(RaftLog, BeginsAnewAfterASnapshot)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2), entry(2, 2)});
  log.reset(10, 7);
  EXPECT_EQ(log.first_index(), 11U);
  EXPECT_EQ(log.last_index(), 10U);
  EXPECT_EQ(log.term(10), View{7});
  EXPECT_EQ(log.term(9), std::nullopt);
}

TEST(RaftLog, ASnapshotLeavesTheEntriesAfterItOnlyIfTheyFollowIt)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2), entry(2, 2), entry(3, 2)});
  log.install(2, 2);
  EXPECT_EQ(log.base(), 2U);
  EXPECT_EQ(log.entry(3), entry(3, 2));
  log.install(1, 2);
  EXPECT_EQ(log.base(), 2U);
  log.install(3, 4);
  EXPECT_EQ(log.last_index(), 3U);
  EXPECT_EQ(log.term(3), View{4}) << "an entry of another term is not what the snapshot holds";
  log.install(9, 5);
  EXPECT_EQ(log.first_index(), 10U);
  EXPECT_EQ(log.term(9), View{5});
}

TEST(RaftLogDeathTest, StopsAtAGapAndAtFallingTerms)
{
  RaftLog log;
  log.append(std::vector{entry(1, 2)});
  EXPECT_DEATH(log.append(std::vector{entry(3, 2)}), "entries follow what is there");
  EXPECT_DEATH(log.append(std::vector{entry(2, 2), entry(4, 2)}), "follow each other");
  EXPECT_DEATH(log.append(std::vector{entry(2, 1)}), "terms never go down");
  EXPECT_DEATH(log.compact(2), "entries that exist");
  EXPECT_DEATH((void)log.entry(2), "within the bounds");
}
}
}
