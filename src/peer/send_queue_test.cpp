#include "peer/send_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace concordat::peer
{
namespace
{
/// With what each costs beside its bytes, ten of these are 10,000 bytes.
std::string message(char name)
{
  return std::string(1'000 - 128, name);
}

class SendQueueTest : public testing::Test
{
protected:
  static SendQueue::Pushed push(SendQueue& queue, char name)
  {
    return queue.push({1, Payload(message(name))});
  }
  static char take(SendQueue& queue)
  {
    const auto taken = queue.take();
    return taken ? taken->payload.pieces().front().front() : '-';
  }
  static std::string drain(SendQueue& queue)
  {
    std::string names;
    for (char name = take(queue); name != '-'; name = take(queue))
    {
      names += name;
      queue.left();
    }
    return names;
  }

  SendQueue urgent{Lane::urgent, 10'000, 3'000};
  SendQueue bulk{Lane::bulk, 10'000, 3'000};
};

TEST_F(SendQueueTest, OrderIsKept)
{
  for (auto* queue : {&urgent, &bulk})
  {
    queue->resume();
    for (const char name : {'a', 'b', 'c'})
      EXPECT_TRUE(push(*queue, name).taken);
    EXPECT_EQ(drain(*queue), "abc");
    EXPECT_EQ(queue->bytes(), 0U);
  }
}

TEST_F(SendQueueTest, TheUrgentLaneDropsTheOldest)
{
  urgent.resume();
  for (char name = 'a'; name <= 'j'; ++name)
    EXPECT_EQ(push(urgent, name).dropped, 0U);
  EXPECT_EQ(push(urgent, 'k').dropped, 1U);
  EXPECT_EQ(push(urgent, 'l').dropped, 1U);
  EXPECT_EQ(urgent.bytes(), 10'000U);
  EXPECT_EQ(drain(urgent), "cdefghijkl");
}

TEST_F(SendQueueTest, TheBulkLaneTakesNoMore)
{
  bulk.resume();
  for (char name = 'a'; name <= 'j'; ++name)
    EXPECT_TRUE(push(bulk, name).taken);
  EXPECT_FALSE(push(bulk, 'k').taken);
  EXPECT_EQ(bulk.bytes(), 10'000U);
  EXPECT_EQ(take(bulk), 'a');
  EXPECT_FALSE(push(bulk, 'k').taken) << "what is being sent counts";
  bulk.left();
  EXPECT_TRUE(push(bulk, 'k').taken);
  EXPECT_EQ(drain(bulk), "bcdefghijk");
}

TEST_F(SendQueueTest, WhatIsBeingSentIsNotDropped)
{
  urgent.resume();
  push(urgent, 'a');
  EXPECT_EQ(take(urgent), 'a');
  for (char name = 'b'; name <= 'z'; ++name)
    push(urgent, name);
  EXPECT_LE(urgent.bytes(), 10'000U);
  urgent.interrupt();
  urgent.resume();
  EXPECT_LE(urgent.bytes(), 3'000U) << "old messages are worth nothing to who comes back";
}

TEST_F(SendQueueTest, WhatDidNotLeaveWholeComesAgainAndWhatLeftDoesNot)
{
  bulk.resume();
  for (const char name : {'a', 'b', 'c'})
    push(bulk, name);
  EXPECT_EQ(take(bulk), 'a');
  bulk.left();
  EXPECT_EQ(take(bulk), 'b');
  bulk.interrupt();
  bulk.resume();
  EXPECT_EQ(drain(bulk), "bc");
}

TEST_F(SendQueueTest, WhileNobodyTakesOnlyTheNewestUrgentOnesWait)
{
  for (char name = 'a'; name <= 'h'; ++name)
    EXPECT_TRUE(push(urgent, name).taken);
  EXPECT_EQ(urgent.bytes(), 3'000U);
  urgent.resume();
  EXPECT_EQ(drain(urgent), "fgh");
}

TEST_F(SendQueueTest, WhatNeverHasRoomIsNotTaken)
{
  EXPECT_FALSE(urgent.push({1, Payload(std::string(10'000, 'x'))}).taken);
  EXPECT_FALSE(bulk.push({1, Payload(std::string(10'000, 'x'))}).taken);
  EXPECT_EQ(urgent.bytes() + bulk.bytes(), 0U);
}

TEST_F(SendQueueTest, TheNewestWaitsHoweverLargeItIs)
{
  EXPECT_TRUE(urgent.push({1, Payload(std::string(9'000, 'x'))}).taken) << "more than may wait while nobody takes";
  EXPECT_EQ(take(urgent), 'x');
}

TEST_F(SendQueueTest, OnlyWhoFoundNothingIsWoken)
{
  EXPECT_FALSE(push(bulk, 'a').wake) << "nobody takes";
  bulk.resume();
  EXPECT_FALSE(push(bulk, 'b').wake) << "who has begun looks by themselves";
  EXPECT_EQ(drain(bulk), "ab");
  EXPECT_TRUE(push(bulk, 'c').wake);
  EXPECT_FALSE(push(bulk, 'd').wake) << "once is enough";
  EXPECT_EQ(drain(bulk), "cd");
  bulk.interrupt();
  EXPECT_FALSE(push(bulk, 'e').wake);
}
}
}
