#include "histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace concordat::bench
{
namespace
{
TEST(Histogram, SmallValuesAreExact)
{
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value)
    histogram.record(value);
  EXPECT_EQ(histogram.percentile(0.5), 50U);
  EXPECT_EQ(histogram.percentile(0.99), 99U);
  EXPECT_EQ(histogram.percentile(1), 100U);
  EXPECT_EQ(histogram.max(), 100U);
  EXPECT_EQ(histogram.total(), 100U);
}

TEST(Histogram, PercentilesAreNeverBelowAndAtMostA64thAbove)
{
  const auto seed = std::random_device{}();
  std::mt19937_64 random(seed);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i)
  {
    values.push_back(random() >> (31 + random() % 30));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double part : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0})
  {
    const auto exact = values[static_cast<std::size_t>(std::ceil(part * 20'000)) - 1];
    EXPECT_GE(histogram.percentile(part), exact) << "seed " << seed;
    EXPECT_LE(histogram.percentile(part), exact + exact / 64) << "seed " << seed;
  }
}

TEST(Histogram, HugeValuesKeepTheMaximum)
{
  Histogram histogram;
  histogram.record(std::uint64_t{1} << 60);
  EXPECT_EQ(histogram.max(), std::uint64_t{1} << 60);
  EXPECT_GE(histogram.percentile(1), (std::uint64_t{1} << 34) - 1);
}

TEST(Histogram, OfSeveralThreadsAreJoined)
{
  Histogram one;
  Histogram other;
  one.record(10);
  other.record(20);
  one.add(other);
  EXPECT_EQ(one.total(), 2U);
  EXPECT_EQ(one.percentile(0.5), 10U);
  EXPECT_EQ(one.percentile(1), 20U);
}

TEST(Histogram, EmptyHasZeroPercentiles)
{
  EXPECT_EQ(Histogram{}.percentile(0.5), 0U);
}
}
}
