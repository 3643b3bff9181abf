#include "ledger/secret_record.h"

#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
class SecretRecordTest : public testing::Test
{
protected:
  SecretRecordTest() : secrets(LedgerSecret::generate())
  {
    secrets.add(7, LedgerSecret::generate());
    secrets.add(20, LedgerSecret::generate());
  }
  Result<void> check(const SecretRecord& record) const
  {
    return record.check(secrets.at(19), 7, secrets.at(20), 20);
  }
  LedgerSecrets secrets;
};
}

TEST_F(SecretRecordTest, HasTheFormOfARecoverysRecord)
{
  const auto text = SecretRecord::of_change(secrets, 20, 7).to_json();
  EXPECT_EQ(text.find(R"({"next_version":20,"previous_ledger_secret":{"encrypted_data":")"), 0U) << text;
  EXPECT_NE(text.find(R"(","previous_secret_stored_version":7,"version":7}})"), std::string::npos) << text;
  EXPECT_EQ(SecretRecord::of_first().to_json(), R"({"next_version":1})");
}

TEST_F(SecretRecordTest, TheNewestSecretOpensTheOneBefore)
{
  const auto record = SecretRecord::from_json(SecretRecord::of_change(secrets, 20, 7).to_json());
  ASSERT_TRUE(record) << record.error().describe();
  EXPECT_EQ(record->sealed_previous.size(), 16U + 12 + 32);
  EXPECT_EQ(record->previous_write, 7U);
  EXPECT_TRUE(check(*record));
}

TEST_F(SecretRecordTest, ARecordThatIsNotOfThisChangeIsRefused)
{
  const auto good = SecretRecord::of_change(secrets, 20, 7);
  auto other_entry = good;
  other_entry.next_first = 21;
  EXPECT_FALSE(check(other_entry));
  auto later = good;
  later.next_first = std::nullopt;
  EXPECT_FALSE(check(later));
  auto other_before = good;
  other_before.previous_first = 1;
  EXPECT_FALSE(check(other_before));
  auto damaged = good;
  damaged.sealed_previous.back() ^= 1;
  EXPECT_FALSE(check(damaged));
  auto cut = good;
  cut.sealed_previous.resize(20);
  EXPECT_FALSE(check(cut));
  LedgerSecrets others(LedgerSecret::generate());
  others.add(7, LedgerSecret::generate());
  others.add(20, secrets.at(20));
  EXPECT_FALSE(check(SecretRecord::of_change(others, 20, 7))) << "the right key, but another secret before";
}

TEST_F(SecretRecordTest, TheSameSecretIsNeverSealedToTheSameBytes)
{
  EXPECT_NE(
      SecretRecord::of_change(secrets, 20, 7).sealed_previous, SecretRecord::of_change(secrets, 20, 7).sealed_previous);
}

TEST_F(SecretRecordTest, WhatIsNoRecordIsRefused)
{
  for (const auto* const text :
       {"", "7", "[]", R"({"next_version":"20"})", R"({"next_version":-1})", R"({"previous_ledger_secret":7})",
        R"({"previous_ledger_secret":{}})", R"({"previous_ledger_secret":{"encrypted_data":"?","version":1}})"})
    EXPECT_FALSE(SecretRecord::from_json(text)) << text;
}
}
