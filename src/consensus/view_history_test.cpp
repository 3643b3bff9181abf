#include "consensus/view_history.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
TEST(ViewHistory, FindsTheViewOfASeqno)
{
  ViewHistory views;
  views.begin(2, 1);
  views.begin(5, 10);
  EXPECT_EQ(views.starts(), (std::vector<Seqno>{1, 1, 10, 10, 10}));
  EXPECT_EQ(views.view_of(1), 2U);
  EXPECT_EQ(views.view_of(9), 2U);
  EXPECT_EQ(views.view_of(10), 5U);
  EXPECT_EQ(views.view_of(0), 0U);
}

TEST(ViewHistory, ForgetsViewsThatBeginAfterACut)
{
  ViewHistory views;
  views.begin(2, 1);
  views.begin(3, 8);
  views.truncate(7);
  EXPECT_EQ(views.last(), 2U);
  views.begin(4, 8);
  EXPECT_EQ(views.view_of(8), 4U);
}

// receipts.md §4.2
TEST(TxStatus, FollowsTheTableOfTheSheet)
{
  const TxId committed{4, 20};
  EXPECT_EQ(status_of({4, 20}, 4, committed), TxStatus::committed);
  EXPECT_EQ(status_of({3, 20}, 4, committed), TxStatus::invalid);
  EXPECT_EQ(status_of({4, 21}, 4, committed), TxStatus::pending);
  EXPECT_EQ(status_of({3, 21}, 4, committed), TxStatus::invalid);
  EXPECT_EQ(status_of({4, 22}, 0, committed), TxStatus::unknown);
  EXPECT_EQ(status_of({5, 22}, 0, committed), TxStatus::unknown);
  EXPECT_EQ(status_of({5, 21}, 4, committed), TxStatus::unknown) << "its seqno is taken, in another view";
}
}
