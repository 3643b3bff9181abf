#include "kv/test_random.h"
#include "kv/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace concordat::kv
{
TEST(Tree, AscendingKeysFillTheirPages)
{
  constexpr std::size_t stored = 8 + 2 + 8 + 8 + 2;
  Tree tree;
  for (std::uint64_t i = 0; i < 100000; ++i)
    tree.put(numbered(i), 1, "12345678");
  tree.check();
  EXPECT_LT(tree.memory(), 100000 * stored * 106 / 100);
}

TEST(Tree, RunsOfAscendingKeysInTheMiddleFillTheirPages)
{
  constexpr std::size_t stored = 8 + 2 + 8 + 8 + 2;
  Tree tree;
  for (std::uint64_t i = 0; i < 50000; ++i)
    for (std::uint64_t run = 0; run < 3; ++run)
      tree.put(numbered(run << 32U | i), 1, "12345678");
  tree.check();
  EXPECT_LT(tree.memory(), 150000 * stored * 110 / 100);
}

TEST(Tree, RandomKeysFillMoreThanThreeFifthsOfTheirPages)
{
  constexpr std::size_t stored = 8 + 2 + 8 + 8 + 2;
  TestRandom random;
  Tree tree;
  for (std::uint64_t i = 0; i < 100000; ++i)
    tree.put(random.bytes(8), 1, "12345678");
  EXPECT_LT(tree.memory(), 100000 * stored * 8 / 5);
}

TEST(Tree, MemoryGoesDownWithErasedEntries)
{
  TestRandom random;
  Tree tree;
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < 100000; ++i)
    order.push_back(i);
  for (const auto i : order)
    tree.put(numbered(i), 1, "12345678");
  const auto full = tree.memory();
  std::shuffle(order.begin(), order.end(), random.generator());
  for (std::size_t i = 0; i < 95000; ++i)
    ASSERT_TRUE(tree.erase(numbered(order[i])));
  tree.check();
  EXPECT_EQ(tree.size(), 5000U);
  EXPECT_LT(tree.memory(), full / 4);
}

TEST(Tree, SnapshotsAreReadWhileTheWriterGoesOn)
{
  constexpr int readers = 3;
  constexpr Seqno rounds = 150;
  std::atomic<Seqno> published{0};
  std::vector<Tree> handed(rounds + 1);
  Tree tree;
  std::vector<std::thread> threads;
  for (int r = 0; r < readers; ++r)
    threads.emplace_back(
        [&]
        {
          for (Seqno seen = 0; seen < rounds;)
          {
            const Seqno now = published.load(std::memory_order_acquire);
            if (now == seen)
            {
              std::this_thread::yield();
              continue;
            }
            seen = now;
            Tree mine = handed[seen];
            std::uint64_t count = 0;
            for (auto at = mine.lower_bound(""); at.valid(); at.next(), ++count)
              if (at.version() > seen)
                return ADD_FAILURE() << "an entry from the future";
            EXPECT_EQ(count, mine.size());
            // Every reader goes on by themselves, on pages that the others share.
            for (std::uint64_t i = 0; i < 50; ++i)
              mine.put(numbered(i * 37), seen, "mine");
            mine.erase(numbered(37));
            mine.check();
          }
        });
  for (Seqno round = 1; round <= rounds; ++round)
  {
    for (std::uint64_t i = 0; i < 100; ++i)
      tree.put(numbered(i * round % 4096), round, "value");
    for (std::uint64_t i = 0; i < 20; ++i)
      tree.erase(numbered(i * round % 2048));
    handed[round] = tree;
    published.store(round, std::memory_order_release);
  }
  for (auto& thread : threads)
    thread.join();
  tree.check();
}

TEST(Tree, ManyTreesSharePagesAndGoInAnyOrder)
{
  TestRandom random;
  Tree tree;
  for (std::uint64_t i = 0; i < 5000; ++i)
    tree.put(numbered(i), 1, "value");
  std::vector<Tree> trees(200, tree);
  for (auto& each : trees)
    each.put(numbered(random.below(5000)), 2, "other");
  std::shuffle(trees.begin(), trees.end(), random.generator());
  while (!trees.empty())
  {
    trees.back().check();
    trees.pop_back();
  }
  tree.check();
  EXPECT_EQ(tree.size(), 5000U);
}
}
