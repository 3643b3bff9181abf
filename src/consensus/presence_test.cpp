#include "consensus/presence.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
namespace
{
const Presence whole{11, 12, 3, 4, 5, 9, {8, 70}, true, {7, 60}, {1, 2, 3}, {8}, {6, 7}};
}

TEST(Presence, IsReadAsItWasWritten)
{
  auto one = whole;
  EXPECT_EQ(Presence::decode(one.encode()).value(), one);
  one.outgoing = {1, 4};
  EXPECT_EQ(Presence::decode(one.encode()).value(), one);
  one.returning = false;
  EXPECT_EQ(Presence::decode(one.encode()).value(), one);
  one.outgoing.clear();
  one.voters.clear();
  one.coming.clear();
  one.former.clear();
  EXPECT_EQ(Presence::decode(one.encode()).value(), one);
}

TEST(Presence, EveryOtherLengthIsRefused)
{
  const auto good = whole.encode();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(Presence::decode(std::string_view(good).substr(0, size))) << size;
  EXPECT_FALSE(Presence::decode(good + '\0'));
}

TEST(Presence, WhatCannotBeIsRefused)
{
  const auto good = whole.encode();
  // Version, the largest bits of numbers that the engine counts, bits, count.
  for (const std::size_t at : {0U, 24U, 32U, 40U, 48U, 56U, 64U, 72U, 80U, 81U, 82U})
  {
    auto bad = good;
    bad[at] = '\xff';
    EXPECT_FALSE(Presence::decode(bad)) << at;
  }
  auto nobody = whole;
  nobody.id = 0;
  EXPECT_FALSE(Presence::decode(nobody.encode()));
  auto never = whole;
  never.start = 0;
  EXPECT_FALSE(Presence::decode(never.encode()));
  auto ahead = whole;
  ahead.last.term = ahead.term + 1;
  EXPECT_FALSE(Presence::decode(ahead.encode()));
  for (const LogPosition beyond : {LogPosition{7, 71}, LogPosition{9, 60}})
  {
    auto committed = whole;
    committed.applied = beyond;
    EXPECT_FALSE(Presence::decode(committed.encode())) << beyond.term;
  }
}

TEST(LogPosition, ALaterTermIsNewerThanALongerLog)
{
  EXPECT_LT((LogPosition{4, 90}), (LogPosition{5, 10}));
  EXPECT_LT((LogPosition{5, 10}), (LogPosition{5, 11}));
}
}
