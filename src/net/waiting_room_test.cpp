#include "net/waiting_room.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace concordat::net
{
namespace
{
class WaitingRoomTest : public testing::Test
{
protected:
  WaitingRoom::Place enter(const std::string& name, std::uint64_t group, std::uint64_t size)
  {
    return room->enter(group, size, [this, name] { evicted += name; });
  }

  std::shared_ptr<WaitingRoom> room = std::make_shared<WaitingRoom>(10);
  std::string evicted;
};

TEST_F(WaitingRoomTest, HoldsWhatFits)
{
  const auto a = enter("a", 1, 4);
  const auto b = enter("b", 2, 6);
  EXPECT_EQ(evicted, "");
  EXPECT_EQ(room->total(), 10U);
  EXPECT_FALSE(a.is_evicted() || b.is_evicted());
}

TEST_F(WaitingRoomTest, LeavingMakesRoom)
{
  {
    const auto a = enter("a", 1, 10);
  }
  EXPECT_EQ(room->total(), 0U);
  const auto b = enter("b", 1, 10);
  EXPECT_EQ(evicted, "");
}

TEST_F(WaitingRoomTest, GroupThatHasMostLosesItsOldest)
{
  const auto old_of_other = enter("o", 1, 3);
  const auto first = enter("1", 2, 2);
  const auto second = enter("2", 2, 2);
  const auto third = enter("3", 2, 2);
  const auto newcomer = enter("n", 3, 1);
  EXPECT_EQ(evicted, "");
  const auto more = enter("m", 4, 1);
  EXPECT_EQ(evicted, "1");
  EXPECT_TRUE(first.is_evicted());
  EXPECT_FALSE(old_of_other.is_evicted());
  EXPECT_EQ(room->total(), 9U);
}

TEST_F(WaitingRoomTest, OldestOfEqualGroupsIsGivenUp)
{
  std::vector<WaitingRoom::Place> places;
  for (int i = 0; i < 10; ++i)
    places.push_back(enter(std::to_string(i), static_cast<std::uint64_t>(i), 1));
  places.push_back(enter("x", 99, 1));
  EXPECT_EQ(evicted, "0");
}

TEST_F(WaitingRoomTest, GrowthCounts)
{
  auto small = enter("s", 1, 1);
  auto growing = enter("g", 2, 1);
  growing.resize(9);
  EXPECT_EQ(evicted, "");
  growing.resize(10);
  EXPECT_EQ(evicted, "g");
  EXPECT_EQ(room->total(), 1U);
  growing.resize(1000);
  small.resize(2);
  EXPECT_EQ(evicted, "g") << "who was given up is no longer there";
  EXPECT_EQ(room->total(), 2U);
}

TEST_F(WaitingRoomTest, WhatIsTooLargeAloneIsGivenUpAtOnce)
{
  const auto other = enter("o", 1, 5);
  const auto huge = enter("h", 2, 11);
  EXPECT_EQ(evicted, "h");
  EXPECT_TRUE(huge.is_evicted());
}

TEST_F(WaitingRoomTest, PlaceWithoutSizeIsNotWorthGivingUp)
{
  const auto empty = enter("e", 1, 0);
  const auto first = enter("1", 1, 8);
  const auto second = enter("2", 1, 8);
  EXPECT_EQ(evicted, "1");
}

TEST(WaitingRoom, CountsRightWhateverThreadsDo)
{
  const auto room = std::make_shared<WaitingRoom>(50);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back(
        [&, t]
        {
          for (unsigned i = 0; i < 2000; ++i)
          {
            auto place = room->enter(t, i % 7, [] {});
            auto other = room->enter(t + i % 3, i % 31, [] {});
            place.resize(i % 23);
          }
        });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(room->total(), 0U);
}
}
}
