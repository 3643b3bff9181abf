#include "base/descriptors.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

namespace concordat::base
{
TEST(Descriptors, AreRaisedAsFarAsTheSystemLetsThem)
{
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{128, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(descriptor_limit(), 128U);

  const auto raised = raise_descriptor_limit();
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, std::min<rlim_t>(before.rlim_max, 1 << 20));
  EXPECT_EQ(raised, after.rlim_cur);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}
}
