#include "node/secret_change.h"

#include "consensus/log_record.h"
#include "kv/store.h"
#include "ledger/entry.h"
#include "ledger/secret_record.h"
#include "ledger/wrapped_secret.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

class SecretChangeTest : public testing::Test
{
protected:
  SecretChangeTest() : secrets_(ledger::LedgerSecret::generate())
  {
    secrets_.add(20, ledger::LedgerSecret::generate());
  }

  void node(const std::string& id, const json::object& what, std::optional<std::string> key = std::nullopt)
  {
    auto record = what;
    record["encryption_pub_key"] = key.value_or(pair().public_pem);
    transaction_.put(tables::node_info, id, to_canonical_json(record));
  }
  static const crypto::RsaPair& pair()
  {
    static const auto made = crypto::generate_rsa();
    return made;
  }
  bool receives(const std::string& id)
  {
    const auto value = transaction_.get(ledger::wrapped_secrets_table, ledger::single_key);
    EXPECT_TRUE(value);
    const auto taken = ledger::unwrap_secret(
        value.value_or(""), 20, {id, crypto::DecryptionKey::from_pem(pair().private_pem).value()});
    EXPECT_TRUE(taken) << taken.error().describe();
    return *taken && (*taken)->raw() == secrets_.at(20).raw();
  }

  kv::Store store_;
  kv::WriteTransaction transaction_{store_.committed(), kv::RunBy::node};
  ledger::LedgerSecrets secrets_;
};
}

TEST_F(SecretChangeTest, EverybodyWhoTakesPartIsGivenTheNewSecretAndNobodyElse)
{
  node("trusted", {{"status", "Trusted"}});
  node("retiring", {{"status", "Retired"}, {"retired_committed", false}});
  node("gone", {{"status", "Retired"}, {"retired_committed", true}});
  node("pending", {{"status", "Pending"}});
  write_secret_change(transaction_, secrets_, "self", 20);
  EXPECT_TRUE(receives("trusted"));
  EXPECT_TRUE(receives("retiring")) << "it is still counted on, and has to follow until it is not";
  EXPECT_FALSE(receives("gone"));
  EXPECT_FALSE(receives("pending"));
  const auto record =
      ledger::SecretRecord::from_json(transaction_.get(ledger::secret_history_table, ledger::single_key).value_or(""));
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->check(secrets_.at(19), 1, secrets_.at(20), 20));
}

TEST_F(SecretChangeTest, WhoIsStillInTheAgreementIsGivenIt)
{
  node("noted", {{"status", "Retired"}, {"retired_committed", true}});
  node("gone", {{"status", "Retired"}, {"retired_committed", true}});
  transaction_.put(tables::engine_ids, "noted", "3");
  transaction_.put(tables::engine_ids, "gone", "4");
  consensus::LogRecord place;
  place.index = 5;
  place.configuration = {.voters = {1, 2}, .learners = {3}};
  transaction_.put(consensus::LogRecord::table, ledger::single_key, place.to_json());
  write_secret_change(transaction_, secrets_, "self", 20);
  EXPECT_TRUE(receives("noted")) << "it is sent entries that it could not read";
  EXPECT_FALSE(receives("gone"));
}

TEST_F(SecretChangeTest, ANodeWithoutAKeyForThatIsLeftOutAndTheOthersGoOn)
{
  node("none", {{"status", "Trusted"}}, "");
  node("signs", {{"status", "Trusted"}}, crypto::KeyPair::generate(crypto::Curve::p256).public_key().pem());
  node("good", {{"status", "Trusted"}});
  write_secret_change(transaction_, secrets_, "self", 20);
  EXPECT_FALSE(receives("none"));
  EXPECT_FALSE(receives("signs"));
  EXPECT_TRUE(receives("good"));
}

TEST_F(SecretChangeTest, WhoIsAloneWrapsItForNobody)
{
  node("self", {{"status", "Trusted"}});
  node("gone", {{"status", "Retired"}, {"retired_committed", true}});
  write_secret_change(transaction_, secrets_, "self", 20);
  EXPECT_FALSE(transaction_.get(ledger::wrapped_secrets_table, ledger::single_key));
  EXPECT_TRUE(transaction_.get(ledger::secret_history_table, ledger::single_key));
}
}
