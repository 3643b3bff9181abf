#include "kv/page_memory.h"

#include "base/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace concordat::kv
{
TEST(PageMemory, PagesInUseNeverOverlap)
{
  std::set<std::uintptr_t> taken;
  std::vector<void*> pages;
  for (int i = 0; i < 5000; ++i)
  {
    pages.push_back(take_page_memory());
    std::memset(pages.back(), i, page_bytes);
    taken.insert(reinterpret_cast<std::uintptr_t>(pages.back()));
  }
  ASSERT_EQ(taken.size(), pages.size());
  for (auto at = taken.begin(), next = std::next(at); next != taken.end(); at = next++)
    ASSERT_GE(*next - *at, page_bytes);
  for (std::size_t i = 0; i < pages.size(); ++i)
  {
    EXPECT_EQ(static_cast<const unsigned char*>(pages[i])[page_bytes - 1], i % 256);
    give_page_memory(pages[i]);
  }
}

TEST(PageMemory, PagesGivenBackInAnotherThreadAreUsedAgain)
{
  if (pages_from_malloc)
    GTEST_SKIP() << "the sanitizer holds back what was given back";
  std::set<void*> seen;
  std::vector<void*> pages;
  std::atomic<int> turn{0};
  constexpr int rounds = 50;
  std::thread other(
      [&]
      {
        for (int round = 0; round < rounds; ++round)
        {
          turn.wait(2 * round);
          for (void* const page : pages)
            give_page_memory(page);
          turn = 2 * round + 2;
          turn.notify_one();
        }
      });
  for (int round = 0; round < rounds; ++round)
  {
    pages.clear();
    for (int i = 0; i < 1000; ++i)
      pages.push_back(take_page_memory());
    seen.insert(pages.begin(), pages.end());
    turn = 2 * round + 1;
    turn.notify_one();
    turn.wait(2 * round + 1);
  }
  other.join();
  EXPECT_LT(seen.size(), 4000U);
}

// Every page is taken by one thread, marked, handed over and given back by another; threads end and others begin.
TEST(PageMemory, PagesGoBackInOtherThreadsThanTheyWereTakenIn)
{
  constexpr std::uint32_t pages = 3000;
  base::Mutex mutex;
  std::vector<std::pair<std::uint32_t, void*>> handed;
  const auto take = [&](std::uint32_t first)
  {
    for (std::uint32_t mark = first; mark < first + pages; ++mark)
    {
      void* const page = take_page_memory();
      std::memcpy(page, &mark, sizeof mark);
      std::memcpy(static_cast<char*>(page) + page_bytes - sizeof mark, &mark, sizeof mark);
      const base::LockGuard lock(mutex);
      handed.emplace_back(mark, page);
    }
  };
  const auto give = [&]
  {
    for (std::uint32_t left = pages; left > 0;)
    {
      std::pair<std::uint32_t, void*> next;
      {
        const base::LockGuard lock(mutex);
        if (handed.empty())
          continue;
        next = handed.back();
        handed.pop_back();
      }
      std::uint32_t first = 0;
      std::uint32_t last = 0;
      std::memcpy(&first, next.second, sizeof first);
      std::memcpy(&last, static_cast<char*>(next.second) + page_bytes - sizeof last, sizeof last);
      EXPECT_EQ(first, next.first);
      EXPECT_EQ(last, next.first);
      give_page_memory(next.second);
      --left;
    }
  };
  for (std::uint32_t round = 0; round < 3; ++round)
  {
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 2; ++i)
    {
      threads.emplace_back(take, (round * 2 + i) * pages);
      threads.emplace_back(give);
    }
    for (auto& thread : threads)
      thread.join();
  }
  EXPECT_TRUE(handed.empty());
}
}
