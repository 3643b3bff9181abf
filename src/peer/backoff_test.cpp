#include "peer/backoff.h"

#include <gtest/gtest.h>

#include <set>

namespace concordat::peer
{
namespace
{
using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToItsBoundLessARandomPart)
{
  for (std::uint64_t seed = 0; seed < 100; ++seed)
  {
    Backoff backoff(milliseconds(20), milliseconds(1'000), seed);
    for (const int whole : {20, 40, 80, 160, 320, 640, 1'000, 1'000, 1'000})
    {
      const auto time = backoff.next().count();
      EXPECT_GE(time, whole / 2) << seed;
      EXPECT_LE(time, whole) << seed;
    }
  }
}

TEST(Backoff, BeginsAnewAfterASuccess)
{
  Backoff backoff(milliseconds(20), milliseconds(1'000), 1);
  for (int i = 0; i < 10; ++i)
    backoff.next();
  backoff.reset();
  EXPECT_LE(backoff.next().count(), 20);
}

TEST(Backoff, NodesThatLostEachOtherAtOnceDoNotComeBackAtOnce)
{
  std::set<std::int64_t> times;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
  {
    Backoff backoff(milliseconds(1'000), milliseconds(1'000), seed);
    times.insert(backoff.next().count());
  }
  EXPECT_GT(times.size(), 10U);
}
}
}
