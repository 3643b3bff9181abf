#include "peer/refusals.h"

#include <gtest/gtest.h>

namespace concordat::peer
{
namespace
{
TEST(Refusals, EachIsLoggedOnceForEachReasonAndCountedAlways)
{
  Refusals refusals;
  for (int i = 0; i < 10; ++i)
  {
    refusals.refused("a", true, Refusal::service, "");
    refusals.refused("b", true, Refusal::service, "");
    refusals.refused("a", true, Refusal::version, "");
    refusals.refused("192.0.2.1", false, Refusal::certificate, "");
  }
  EXPECT_EQ(refusals.logged(), 4U);
  EXPECT_EQ(refusals.counts()[static_cast<std::size_t>(Refusal::service)], 20U);
  EXPECT_EQ(refusals.counts()[static_cast<std::size_t>(Refusal::version)], 10U);
}

TEST(Refusals, WhoWasWelcomeMeanwhileIsNews)
{
  Refusals refusals;
  refusals.refused("a", true, Refusal::membership, "");
  refusals.refused("b", true, Refusal::membership, "");
  refusals.welcomed("a");
  refusals.refused("a", true, Refusal::membership, "");
  refusals.refused("b", true, Refusal::membership, "");
  EXPECT_EQ(refusals.logged(), 3U);
}

TEST(Refusals, ManyStrangersFillNeitherMemoryNorLogAndHideNoNode)
{
  Refusals refusals;
  for (int i = 0; i < 100'000; ++i)
    refusals.refused("stranger " + std::to_string(i), false, Refusal::certificate, "");
  EXPECT_EQ(refusals.logged(), 256U);
  EXPECT_EQ(refusals.counts()[static_cast<std::size_t>(Refusal::certificate)], 100'000U);
  refusals.refused("a", true, Refusal::certificate, "");
  EXPECT_EQ(refusals.logged(), 257U);
}

TEST(Refusals, CallsThatFailAreLoggedOnceUntilOneDoesNot)
{
  Refusals refusals;
  for (int i = 0; i < 10; ++i)
    refusals.failed("a", Refusal::none, "connect", "");
  refusals.failed("a", Refusal::certificate, "certificate", "");
  EXPECT_EQ(refusals.logged(), 2U);
  refusals.reached("a", "");
  refusals.failed("a", Refusal::none, "connect", "");
  EXPECT_EQ(refusals.logged(), 3U);
  EXPECT_EQ(refusals.counts()[static_cast<std::size_t>(Refusal::none)], 0U);
  EXPECT_EQ(refusals.counts()[static_cast<std::size_t>(Refusal::certificate)], 1U);
}
}
}
