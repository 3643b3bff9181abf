#include "node/identity.h"

#include "base/encoding.h"
#include "base/simulated_files.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
class SealedStateTest : public ::testing::Test
{
protected:
  /// Seals as another release might have.
  void seal(const std::string& name, std::string_view purpose, const std::string& text)
  {
    ASSERT_TRUE(files_.make_directory("sealed"));
    ASSERT_TRUE(sealed_.write("sealed/" + name, purpose, text));
  }
  std::string unseal(const std::string& name, std::string_view purpose)
  {
    return sealed_.read("sealed/" + name, purpose).value();
  }
  boost::json::object sealed_identity()
  {
    EXPECT_TRUE(state_.save_identity(Identity::generate(crypto::Curve::p256)));
    return boost::json::parse(unseal("identity.sealed", "identity")).as_object();
  }
  bool is_read(const boost::json::object& content)
  {
    seal("identity.sealed", "identity", boost::json::serialize(content));
    const auto loaded = state_.load_identity();
    EXPECT_TRUE(loaded || loaded.error().message.find("another release, or is damaged") != std::string::npos);
    return loaded.has_value();
  }

  base::SimulatedFileSystem files_{3};
  attestation::SealedFiles sealed_{files_, std::string(32, 'k')};
  SealedState state_{files_, sealed_, "sealed"};
};
}

TEST_F(SealedStateTest, AnIdentityComesBackWithAllItsSecrets)
{
  EXPECT_FALSE(state_.has_identity());
  auto identity = Identity::generate(crypto::Curve::p384);
  identity.service_created = true;
  identity.ledger_secrets->add(17, ledger::LedgerSecret::generate());
  identity.ledger_secrets->add(40, ledger::LedgerSecret::generate());
  ASSERT_TRUE(state_.save_identity(identity));
  EXPECT_TRUE(state_.has_identity());
  files_.crash();
  const auto loaded = state_.load_identity();
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(loaded->node_id(), identity.node_id());
  EXPECT_EQ(loaded->service_key.private_pem(), identity.service_key.private_pem());
  EXPECT_EQ(loaded->encryption_private_key_pem, identity.encryption_private_key_pem);
  EXPECT_TRUE(loaded->service_created);
  for (const Seqno seqno : {1, 16, 17, 39, 40, 1000})
    EXPECT_EQ(loaded->ledger_secrets->at(seqno).raw(), identity.ledger_secrets->at(seqno).raw()) << seqno;
}

TEST_F(SealedStateTest, AnIdentityOfTheFirstReleaseIsRead)
{
  auto content = sealed_identity();
  content.erase("version");
  content.erase("ledger_secrets");
  content["ledger_secret"] = base::to_hex(std::string(32, 's'));
  ASSERT_TRUE(is_read(content));
  EXPECT_EQ(state_.load_identity()->ledger_secrets->at(100).raw(), std::string(32, 's'));
}

TEST_F(SealedStateTest, AnIdentityOfAnotherFormIsRefused)
{
  const auto good = sealed_identity();
  ASSERT_TRUE(is_read(good));
  const auto with = [&](std::string_view name, boost::json::value value)
  {
    auto content = good;
    content[name] = std::move(value);
    return content;
  };
  const auto secret = base::to_hex(std::string(32, 's'));
  const auto period = [](std::int64_t first, const std::string& hex)
  { return boost::json::object{{"first_seqno", first}, {"secret", hex}}; };
  EXPECT_FALSE(is_read(with("version", 3))) << "of a node that has joined, without saying what";
  EXPECT_FALSE(is_read(with("version", 4)));
  EXPECT_FALSE(is_read(with("version", boost::json::value("2"))));
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::array{})));
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::value(secret))));
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::array{period(2, secret)}))) << "nothing holds for seqno 1";
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::array{period(1, secret), period(1, secret)})));
  EXPECT_FALSE(
      is_read(with("ledger_secrets", boost::json::array{period(1, secret), period(9, secret), period(5, secret)})));
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::array{period(1, secret.substr(2))})));
  EXPECT_FALSE(is_read(with("ledger_secrets", boost::json::array{period(1, secret), 7})));
  EXPECT_FALSE(is_read(with("node_key", "none")));
  EXPECT_FALSE(is_read(with("service_created", "yes")));
}

TEST_F(SealedStateTest, AnIdentityOfANodeThatHasJoinedIsReadByNoReleaseThatKnowsNoOthers)
{
  auto identity = Identity::generate(crypto::Curve::p256);
  identity.joined = {"example.com", "ledger"};
  ASSERT_TRUE(state_.save_identity(identity));
  EXPECT_EQ(state_.load_identity()->joined, identity.joined);
  auto content = boost::json::parse(unseal("identity.sealed", "identity")).as_object();
  EXPECT_EQ(content.at("version"), 3);
  content.erase("joined");
  EXPECT_FALSE(is_read(content));
  content["version"] = 2;
  EXPECT_TRUE(is_read(content));
  EXPECT_FALSE(state_.load_identity()->joined);
  content["joined"] = boost::json::object{};
  EXPECT_FALSE(is_read(content)) << "one says that it has joined, the other does not";
}

TEST_F(SealedStateTest, TheKeysOfANodeThatAsksToJoinComeBackAndGo)
{
  EXPECT_FALSE(state_.has_keys());
  EXPECT_TRUE(state_.remove_keys());
  const auto keys = NodeKeys::generate(crypto::Curve::p384);
  ASSERT_TRUE(state_.save_keys(keys));
  files_.crash();
  EXPECT_FALSE(state_.has_identity());
  const auto loaded = state_.load_keys();
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(loaded->node_key.public_key().id(), keys.node_key.public_key().id());
  EXPECT_EQ(loaded->encryption_private_key_pem, keys.encryption_private_key_pem);
  EXPECT_EQ(loaded->encryption_public_key_pem, keys.encryption_public_key_pem);
  ASSERT_TRUE(state_.remove_keys());
  files_.crash();
  EXPECT_FALSE(state_.has_keys());
  EXPECT_FALSE(state_.load_keys());
}

TEST_F(SealedStateTest, KeysOfAnotherFormAreRefused)
{
  const auto pem = crypto::KeyPair::generate(crypto::Curve::p256).private_pem();
  for (const auto& content :
       {boost::json::object{}, boost::json::object{{"version", 1}}, boost::json::object{{"node_key", pem}},
        boost::json::object{{"node_key", pem}, {"version", 2}}, boost::json::object{{"node_key", 1}, {"version", 1}}})
  {
    seal("joining.sealed", "joining", boost::json::serialize(content));
    EXPECT_FALSE(state_.load_keys());
  }
  seal("joining.sealed", "joining", "no JSON");
  EXPECT_FALSE(state_.load_keys());
  seal("joining.sealed", "identity", "{}");
  EXPECT_FALSE(state_.load_keys());
}

TEST_F(SealedStateTest, TheStateOfConsensusComesBackWithItsMark)
{
  EXPECT_EQ(state_.load().value(), consensus::DurableState{}) << "of a fresh node";
  consensus::DurableState state{7, 1, {{6, 1234}}, {{6, 99}, {}}};
  state.mark.root.fill(0xab);
  ASSERT_TRUE(files_.make_directory("sealed"));
  ASSERT_TRUE(state_.save(state));
  files_.crash();
  EXPECT_EQ(state_.load().value(), state);
  EXPECT_EQ(unseal("consensus.sealed", "consensus").size(), 88U);

  state.opened = {{3, 1000}, {5, 1200}, {6, 1234}};
  ASSERT_TRUE(state_.save(state));
  files_.crash();
  EXPECT_EQ(state_.load().value(), state) << "in their order";
  EXPECT_EQ(unseal("consensus.sealed", "consensus").size(), 88U + 2 * 16);
}

TEST_F(SealedStateTest, TheStateOfConsensusOfTheFirstReleaseHasNoMark)
{
  std::string bytes;
  for (const std::uint64_t number : {7, 1, 6, 1234})
    base::append_le(bytes, number);
  seal("consensus.sealed", "consensus", bytes);
  EXPECT_EQ(state_.load().value(), (consensus::DurableState{7, 1, {{6, 1234}}, {}}));
}

TEST_F(SealedStateTest, ThatOthersTakePartIsKept)
{
  ASSERT_TRUE(files_.make_directory("sealed"));
  using Case = std::pair<bool, consensus::EngineId>;
  for (const auto& [several, id] : {Case{true, 0}, Case{false, 0}, Case{true, 9}})
  {
    const consensus::DurableState state{7, 1, {{5, 1230}, {6, 1234}}, {{6, 99}, {}}, several, id};
    ASSERT_TRUE(state_.save(state));
    EXPECT_EQ(state_.load().value(), state);
  }
}

TEST_F(SealedStateTest, AStateOfConsensusOfAnotherFormIsRefused)
{
  ASSERT_TRUE(files_.make_directory("sealed"));
  ASSERT_TRUE(state_.save({7, 1, {{6, 1234}}, {{6, 99}, {}}}));
  const auto good = unseal("consensus.sealed", "consensus");
  auto other_version = good;
  other_version[0] = 5;
  for (const auto& bytes : {std::string(), good.substr(0, 31), good.substr(0, 87), good + '\0', other_version})
  {
    seal("consensus.sealed", "consensus", bytes);
    const auto loaded = state_.load();
    ASSERT_FALSE(loaded) << bytes.size();
    EXPECT_EQ(loaded.error().code, ErrorCode::corrupt);
  }
}

TEST_F(SealedStateTest, OneFileDoesNotStandForTheOther)
{
  (void)sealed_identity();
  ASSERT_TRUE(files_.rename("sealed/identity.sealed", "sealed/consensus.sealed"));
  const auto loaded = state_.load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::corrupt);
}
}
