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
