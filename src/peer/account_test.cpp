#include "peer/account.h"

#include <gtest/gtest.h>

#include <vector>

namespace concordat::peer
{
namespace
{
TEST(Account, CountsWhatIsHeld)
{
  const auto account = std::make_shared<Account>(100);
  auto one = account->add(30);
  auto other = account->add(20);
  EXPECT_EQ(account->held(), 50U);
  one.reset();
  EXPECT_EQ(account->held(), 20U);
  other.reset();
  EXPECT_EQ(account->held(), 0U);
  EXPECT_EQ(account->messages(), 2U);
}

TEST(Account, TellsOnceWhenHalfIsFree)
{
  const auto account = std::make_shared<Account>(100);
  int told = 0;
  const auto tell = [&] { ++told; };
  std::vector<std::shared_ptr<const void>> held;
  for (int i = 0; i < 4; ++i)
  {
    EXPECT_FALSE(account->wait_if_full(tell));
    held.push_back(account->add(25));
  }
  EXPECT_TRUE(account->wait_if_full(tell));
  held.pop_back();
  EXPECT_EQ(told, 0);
  held.pop_back();
  EXPECT_EQ(told, 1);
  held.clear();
  EXPECT_EQ(told, 1);
}

TEST(Account, WhoHasBeenForgottenIsNotTold)
{
  const auto account = std::make_shared<Account>(100);
  int told = 0;
  auto held = account->add(100);
  EXPECT_TRUE(account->wait_if_full([&] { ++told; }));
  account->forget();
  held.reset();
  EXPECT_EQ(told, 0);
}

TEST(Account, WhatIsHeldOutlivesWhoeverCounted)
{
  auto account = std::make_shared<Account>(100);
  const auto held = account->add(1);
  const std::weak_ptr<Account> weak = account;
  account.reset();
  EXPECT_FALSE(weak.expired());
}
}
}
