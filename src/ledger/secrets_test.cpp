#include "ledger/secrets.h"

#include <gtest/gtest.h>

#include <thread>

namespace concordat::ledger
{
namespace
{
LedgerSecret secret_of(char letter)
{
  return LedgerSecret(std::string(32, letter));
}

TEST(LedgerSecrets, EachSeqnoHasTheSecretThatWasInForce)
{
  LedgerSecrets secrets(secret_of('a'));
  secrets.add(10, secret_of('b'));
  secrets.add(12, secret_of('c'));
  const std::string expected = "aaaaaaaaabbccc";
  for (Seqno seqno = 1; seqno <= expected.size(); ++seqno)
    EXPECT_EQ(secrets.at(seqno).raw(), std::string(32, expected[seqno - 1])) << seqno;
  EXPECT_EQ(secrets.since(9), 1U);
  EXPECT_EQ(secrets.since(11), 10U);
  EXPECT_EQ(secrets.since(1000), 12U);
}

TEST(LedgerSecrets, ANewOneReplacesWhatWasSaidForItsSeqnosAndLater)
{
  LedgerSecrets secrets(secret_of('a'));
  secrets.add(10, secret_of('b'));
  secrets.add(20, secret_of('c'));
  const auto& held = secrets.at(25);
  secrets.add(10, secret_of('d'));
  EXPECT_EQ(secrets.at(9).raw().front(), 'a');
  EXPECT_EQ(secrets.at(10).raw().front(), 'd');
  EXPECT_EQ(secrets.at(25).raw().front(), 'd');
  EXPECT_EQ(held.raw().front(), 'c') << "a reference stays good";
  const auto periods = secrets.periods();
  ASSERT_EQ(periods.size(), 2U);
  EXPECT_EQ(periods[0].first, 1U);
  EXPECT_EQ(periods[1].first, 10U);
  EXPECT_EQ(periods[1].secret->raw().front(), 'd');
}

TEST(LedgerSecrets, AChangeThatWasLostIsTakenBack)
{
  LedgerSecrets secrets(secret_of('a'));
  secrets.add(10, secret_of('b'));
  secrets.add(20, secret_of('c'));
  const auto& held = secrets.at(25);
  secrets.take_back(11);
  EXPECT_EQ(secrets.at(25).raw().front(), 'b');
  EXPECT_EQ(held.raw().front(), 'c') << "a reference stays good";
  secrets.take_back(11);
  EXPECT_EQ(secrets.since(25), 10U);
  secrets.take_back(2);
  EXPECT_EQ(secrets.at(25).raw().front(), 'a');
  secrets.add(12, secret_of('d'));
  EXPECT_EQ(secrets.at(11).raw().front(), 'a');
  EXPECT_EQ(secrets.at(12).raw().front(), 'd');
  EXPECT_EQ(secrets.periods().size(), 2U);
}

TEST(LedgerSecrets, WhatSomebodyHasWrittenDownIsReadOnlyIfItIsInOrder)
{
  const auto raw = [](std::vector<Seqno> firsts, std::size_t size = 32)
  {
    std::vector<std::pair<Seqno, std::string>> out;
    for (const auto first : firsts)
      out.emplace_back(first, std::string(size, static_cast<char>('a' + out.size())));
    return LedgerSecrets::from_raw(std::move(out));
  };
  const auto good = raw({1, 7, 8});
  ASSERT_NE(good, nullptr);
  EXPECT_EQ(good->at(6).raw().front(), 'a');
  EXPECT_EQ(good->at(7).raw().front(), 'b');
  EXPECT_EQ(good->at(9).raw().front(), 'c');
  for (const auto& firsts : std::vector<std::vector<Seqno>>{{}, {0}, {2}, {1, 1}, {1, 8, 7}, {1, 7, 7, 9}, {1, 0}})
    EXPECT_EQ(raw(firsts), nullptr) << firsts.size();
  EXPECT_EQ(raw({1}, 31), nullptr);
  EXPECT_EQ(raw({1}, 33), nullptr);
  EXPECT_EQ(raw({1}, 0), nullptr);
}

TEST(LedgerSecrets, ReadersSeeAWholeStateWhileOneIsAdded)
{
  LedgerSecrets secrets(secret_of('a'));
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader(
      [&]
      {
        while (!stop)
        {
          ASSERT_EQ(secrets.at(1).raw().front(), 'a');
          const auto now = secrets.at(1'000'000).raw().front();
          ASSERT_TRUE(now >= 'a' && now <= 'z');
          ++reads;
        }
      });
  for (char letter = 'b'; letter <= 'z' && !HasFailure(); ++letter)
  {
    // So that there is somebody who reads meanwhile.
    for (const int before = reads; reads == before && !HasFailure();)
      std::this_thread::yield();
    secrets.add(static_cast<Seqno>(letter) * 100, secret_of(letter));
  }
  stop = true;
  reader.join();
}
}
}
