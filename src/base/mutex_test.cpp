#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace concordat::base
{
namespace
{
/// A queue as the annotations want it; the analysis is run on this file too.
class Queue
{
public:
  void put(int value) EXCLUDES(mutex_)
  {
    {
      const LockGuard lock(mutex_);
      values_.push_back(value);
    }
    filled_.notify_one();
  }
  int wait_for_sum(std::size_t count) EXCLUDES(mutex_)
  {
    UniqueLock lock(mutex_);
    while (values_.size() < count)
      filled_.wait(mutex_);
    const auto taken = take();
    lock.unlock();
    int sum = 0;
    for (const int value : taken)
      sum += value;
    return sum;
  }
  bool comes_within(std::chrono::milliseconds time) EXCLUDES(mutex_)
  {
    const LockGuard lock(mutex_);
    const auto end = std::chrono::steady_clock::now() + time;
    while (values_.empty())
      if (!filled_.wait_until(mutex_, end))
        return false;
    return true;
  }

private:
  std::vector<int> take() REQUIRES(mutex_)
  {
    return std::exchange(values_, {});
  }

  Mutex mutex_;
  CondVar filled_;
  std::vector<int> values_ GUARDED_BY(mutex_);
};
}

TEST(Mutex, WhatSeveralThreadsPutIsTakenWhole)
{
  Queue queue;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&]
        {
          for (int value = 1; value <= 1000; ++value)
            queue.put(value);
        });
  EXPECT_EQ(queue.wait_for_sum(4000), 4 * 500 * 1001);
}

TEST(Mutex, AWaitEndsWithItsTime)
{
  Queue queue;
  EXPECT_FALSE(queue.comes_within(std::chrono::milliseconds(1)));
  queue.put(1);
  EXPECT_TRUE(queue.comes_within(std::chrono::milliseconds(0)));
}

TEST(Mutex, IsHeldByOneAtATime)
{
  Mutex mutex;
  {
    const LockGuard lock(mutex);
    std::jthread([&] { EXPECT_FALSE(mutex.try_lock()); }).join();
  }
  std::jthread(
      [&]
      {
        const bool taken = mutex.try_lock();
        EXPECT_TRUE(taken);
        if (taken)
          mutex.unlock();
      })
      .join();
}

TEST(SharedMutex, LetsReadersInTogetherAndAWriterAlone)
{
  SharedMutex mutex;
  int value = 0;
  std::vector<std::jthread> threads;
  {
    const ReadLock one(mutex);
    std::jthread(
        [&]
        {
          const ReadLock two(mutex);
          EXPECT_EQ(value, 0);
        })
        .join();
  }
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&]
        {
          for (int n = 0; n < 1000; ++n)
          {
            const WriteLock lock(mutex);
            ++value;
          }
        });
  threads.clear();
  const ReadLock lock(mutex);
  EXPECT_EQ(value, 4000);
}
}
