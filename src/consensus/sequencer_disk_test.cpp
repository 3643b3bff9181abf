#include "consensus/test_network.h"

/// Several nodes whose disks are written elsewhere, and do not always answer.
namespace concordat::consensus
{
class NetworkDiskTest : public NetworkTest
{
protected:
  NetworkDiskTest()
  {
    with_disks_ = true;
  }
};

TEST_F(NetworkDiskTest, APrimaryWhoseDiskHangsGivesWay)
{
  options_.doubt = std::chrono::seconds(1);
  begin(3);
  const auto first = elect();
  std::optional<Result<void>> before;
  ASSERT_TRUE(write(first, "before", "1", before));
  pass(2);
  ASSERT_TRUE(before && *before);

  hung_.insert(first);
  std::optional<Result<void>> unknown;
  const auto id = write(first, "unknown", "1", unknown);
  ASSERT_TRUE(id);
  pass(120);
  EXPECT_FALSE(sequencer(first).can_write());
  ASSERT_TRUE(unknown && !*unknown) << "who waits is told that nobody knows";
  EXPECT_EQ(unknown->error().code, ErrorCode::unavailable);
  const auto next = elect();
  ASSERT_NE(next, first);
  std::optional<Result<void>> after;
  ASSERT_TRUE(write(next, "after", "1", after));
  pass(3);
  ASSERT_TRUE(after && *after) << "two of three go on";
  EXPECT_EQ(committed(first, "after"), std::nullopt);

  hung_.clear();
  pass(10);
  EXPECT_EQ(committed(first, "after"), "1") << "and the third comes back by itself";
  EXPECT_EQ(committed(first, "unknown"), "1");
  EXPECT_EQ(sequencer(first).status(*id), TxStatus::committed);
}

TEST_F(NetworkDiskTest, WhoeverMayTakeOverIsNotAskedWhenTheDiskOfAllHangs)
{
  begin(3);
  const auto first = elect();
  pass(2);
  hung_ = {1, 2, 3};
  std::optional<Result<void>> outcome;
  ASSERT_TRUE(write(first, "key", "1", outcome));
  pass(200);
  EXPECT_FALSE(outcome && *outcome);
  hung_.clear();
  const auto next = elect();
  std::optional<Result<void>> after;
  ASSERT_TRUE(write(next, "after", "1", after));
  pass(5);
  EXPECT_TRUE(after && *after);
}
}
