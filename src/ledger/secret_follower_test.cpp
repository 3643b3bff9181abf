#include "ledger/secret_follower.h"

#include "crypto/keys.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <memory>

namespace concordat::ledger
{
namespace
{
crypto::RsaPair key_pair(int which)
{
  static const std::vector<crypto::RsaPair> pairs{crypto::generate_rsa(), crypto::generate_rsa()};
  return pairs.at(static_cast<std::size_t>(which));
}

/// A ledger that reaches to seqno 9, and what somebody writes as entry 10.
class SecretFollowerTest : public testing::Test
{
protected:
  static constexpr Seqno first = 10;

  SecretFollowerTest() : known_(LedgerSecret::generate()), writer_(known_.at(1)) {}

  static SecretReceiver receiver(int which)
  {
    return {"node" + std::to_string(which), crypto::DecryptionKey::from_pem(key_pair(which).private_pem).value()};
  }
  static std::string wrap(const LedgerSecret& secret, std::vector<std::pair<std::string, int>> nodes, Seqno at = first)
  {
    std::map<std::string, crypto::PublicKey> keys;
    for (const auto& [node, which] : nodes)
      keys.emplace(node, crypto::PublicKey::from_pem(key_pair(which).public_pem).value());
    return wrap_secret(secret, at, keys).value();
  }
  static void put(kv::WriteSet& writes, std::string_view table, std::string value)
  {
    writes[std::string(table)][std::string(single_key)] = std::move(value);
  }

  /// A change as it must be.
  kv::WriteSet change()
  {
    if (writer_.since(first) != first)
      writer_.add(first, LedgerSecret::generate());
    kv::WriteSet writes;
    put(writes, secret_history_table, SecretRecord::of_change(writer_, first, std::nullopt).to_json());
    put(writes, wrapped_secrets_table, wrap(writer_.at(first), {{"node0", 0}, {"node1", 1}}));
    return writes;
  }
  kv::WriteSet nothing()
  {
    kv::WriteSet writes;
    writes["public:other"]["key"] = "value";
    return writes;
  }

  /// Encrypts it, and opens it as a node does that has `known_`.
  Result<std::string>
  open(const kv::WriteSet& writes, const LedgerSecret& under, bool others = true, Seqno seqno = first)
  {
    std::string public_maps;
    kv::encode(writes, kv::Domain::public_maps, public_maps);
    const auto encoded = encode_entry(under, {4, seqno}, 0, {}, public_maps, "private");
    bytes_ = encoded.bytes;
    return open_bytes(others);
  }
  Result<std::string> open_bytes(bool others = true)
  {
    const auto entry = parse_entry(bytes_);
    EXPECT_TRUE(entry);
    kv::WriteSet writes;
    if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, writes); !decoded)
      return std::unexpected(decoded.error());
    const auto who = receiver_ ? std::optional(receiver(*receiver_)) : std::nullopt;
    SecretFollower follower(known_, who ? &*who : nullptr, others);
    auto opened = follower.open(*entry, writes);
    changed_ = follower.changed();
    saw_change_ = follower.saw_change();
    return opened;
  }
  void expect_unchanged()
  {
    EXPECT_FALSE(changed_);
    EXPECT_EQ(known_.since(first), 1U);
    EXPECT_EQ(known_.periods().size(), 1U);
  }

  LedgerSecrets known_;  ///< by the node that reads
  LedgerSecrets writer_; ///< by who writes
  std::optional<int> receiver_ = 0;
  std::string bytes_;
  bool changed_ = false;
  bool saw_change_ = false;
};
}

TEST_F(SecretFollowerTest, ASecretThatIsWrappedForThisNodeIsLearned)
{
  const auto writes = change();
  EXPECT_EQ(open(writes, writer_.at(first)).value(), "private");
  EXPECT_TRUE(changed_);
  EXPECT_EQ(known_.since(first), first);
  EXPECT_EQ(known_.at(first).raw(), writer_.at(first).raw());
  EXPECT_EQ(known_.at(first - 1).raw(), writer_.at(first - 1).raw());
  EXPECT_TRUE(saw_change_);
  EXPECT_TRUE(open(writes, writer_.at(first))) << "it is known now";
  EXPECT_FALSE(changed_);
  EXPECT_TRUE(saw_change_);
}

TEST_F(SecretFollowerTest, WhatIsNoChangeLiesUnderTheSecretInForce)
{
  EXPECT_TRUE(open(nothing(), known_.at(1)));
  EXPECT_FALSE(saw_change_);
  expect_unchanged();
  const auto refused = open(nothing(), LedgerSecret::generate());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt) << "a crash can leave that behind";
}

TEST_F(SecretFollowerTest, ASecretThatIsWrappedForOthersOnlyIsRefusedAndNotTakenForDamage)
{
  auto writes = change();
  put(writes, wrapped_secrets_table, wrap(writer_.at(first), {{"node1", 1}}));
  const auto refused = open(writes, writer_.at(first));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  EXPECT_NE(refused.error().describe().find("not wrapped for this node"), std::string::npos);
  expect_unchanged();

  writes.erase(std::string(wrapped_secrets_table));
  EXPECT_EQ(open(writes, writer_.at(first)).error().code, ErrorCode::denied) << "for nobody";
  put(writes, wrapped_secrets_table, wrap(writer_.at(first), {{"node0", 0}}, first + 1));
  EXPECT_EQ(open(writes, writer_.at(first)).error().code, ErrorCode::denied) << "of another change";
  receiver_.reset();
  EXPECT_EQ(open(change(), writer_.at(first)).error().code, ErrorCode::denied) << "no key to unwrap anything with";
  expect_unchanged();
}

TEST_F(SecretFollowerTest, AWrapForTheKeyOfAnotherNodeUnderThisNodesNameIsRefused)
{
  auto writes = change();
  put(writes, wrapped_secrets_table, wrap(writer_.at(first), {{"node0", 1}, {"node1", 1}}));
  EXPECT_FALSE(open(writes, writer_.at(first)));
  expect_unchanged();
}

TEST_F(SecretFollowerTest, AWrapOfAnotherSecretIsRefused)
{
  auto writes = change();
  put(writes, wrapped_secrets_table, wrap(LedgerSecret::generate(), {{"node0", 0}}));
  EXPECT_FALSE(open(writes, writer_.at(first)));
  put(writes, wrapped_secrets_table, wrap(known_.at(1), {{"node0", 0}}));
  EXPECT_FALSE(open(writes, writer_.at(first))) << "not even of the one before";
  expect_unchanged();
}

TEST_F(SecretFollowerTest, WhoeverDoesNotKnowTheSecretBeforeCannotChangeIt)
{
  // Anybody can wrap a secret of their own for a node, and encrypt an entry with it.
  LedgerSecrets others(LedgerSecret::generate());
  others.add(first, LedgerSecret::generate());
  kv::WriteSet writes;
  put(writes, secret_history_table, SecretRecord::of_change(others, first, std::nullopt).to_json());
  put(writes, wrapped_secrets_table, wrap(others.at(first), {{"node0", 0}}));
  const auto refused = open(writes, others.at(first));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  EXPECT_NE(refused.error().describe().find("seals another one"), std::string::npos) << refused.error().describe();
  expect_unchanged();
}

TEST_F(SecretFollowerTest, TheRecordMustBeOfThisPlace)
{
  auto writes = change();
  auto record = SecretRecord::of_change(writer_, first, std::nullopt);
  record.previous_first = 3;
  put(writes, secret_history_table, record.to_json());
  EXPECT_EQ(open(writes, writer_.at(first)).error().code, ErrorCode::denied);
  record = SecretRecord::of_change(writer_, first, std::nullopt);
  record.next_first = first + 1;
  put(writes, secret_history_table, record.to_json());
  EXPECT_FALSE(open(writes, writer_.at(first))) << "what does not say that it begins a secret lies under the old one";
  expect_unchanged();
}

TEST_F(SecretFollowerTest, APublicPartThatWasChangedIsNotBelieved)
{
  const auto writes = change();
  ASSERT_TRUE(open(writes, writer_.at(first)));
  known_.take_back(first);
  const auto good = bytes_;
  // Every byte of the public part, of which the wraps and the record are most.
  const auto entry = parse_entry(good).value();
  const auto begin = static_cast<std::size_t>(entry.public_domain.data() - entry.bytes.data());
  for (std::size_t at = begin; at < begin + entry.public_domain.size(); at += 7)
  {
    bytes_ = good;
    bytes_[at] = static_cast<char>(bytes_[at] ^ 1);
    const auto parsed = parse_entry(bytes_);
    kv::WriteSet changed;
    if (!parsed || !kv::decode(parsed->public_maps, kv::Domain::public_maps, changed))
      continue;
    ASSERT_FALSE(open_bytes()) << at;
    ASSERT_EQ(known_.periods().size(), 1U) << at;
  }
}

TEST_F(SecretFollowerTest, ATornEntryIsDamageThatACrashLeavesBehind)
{
  const auto writes = change();
  ASSERT_TRUE(open(writes, writer_.at(first)));
  const auto good = bytes_;
  for (const bool known : {false, true})
    for (const bool others : {false, true})
    {
      known_.take_back(first);
      if (known)
        known_.add(first, writer_.at(first));
      bytes_ = good;
      bytes_.back() = static_cast<char>(bytes_.back() ^ 1);
      const auto refused = open_bytes(others);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::corrupt) << known << others;
    }
}

TEST_F(SecretFollowerTest, ATornEntryOfANodeThatWasAloneWhichWrapsNothingIsDamageToo)
{
  auto writes = change();
  writes.erase(std::string(wrapped_secrets_table));
  known_.add(first, writer_.at(first));
  EXPECT_TRUE(open(writes, writer_.at(first), false)) << "whole, it is good";
  bytes_.back() = static_cast<char>(bytes_.back() ^ 1);
  EXPECT_EQ(open_bytes(false).error().code, ErrorCode::corrupt);
  EXPECT_EQ(open_bytes(true).error().code, ErrorCode::corrupt);
}

TEST_F(SecretFollowerTest, AnotherChangeReplacesOneThatWasLost)
{
  known_.add(first, LedgerSecret::generate());
  const auto writes = change();
  EXPECT_TRUE(open(writes, writer_.at(first)));
  EXPECT_TRUE(changed_);
  EXPECT_EQ(known_.at(first).raw(), writer_.at(first).raw());
  EXPECT_EQ(known_.periods().size(), 2U);
}

TEST_F(SecretFollowerTest, OthersMayHaveGoneOnUnderTheOldSecretWhereAChangeWasLost)
{
  const auto old = known_.at(1);
  known_.add(first, LedgerSecret::generate());
  EXPECT_EQ(open(nothing(), old, false).error().code, ErrorCode::corrupt) << "nobody else could have written it";
  EXPECT_EQ(known_.since(first), first);
  EXPECT_TRUE(open(nothing(), old, true));
  EXPECT_TRUE(changed_);
  EXPECT_EQ(known_.since(first), 1U);
}

TEST_F(SecretFollowerTest, AnEntryUnderTheOldSecretCannotSayThatItBeginsANewOne)
{
  const auto refused = open(change(), known_.at(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  known_.add(first, LedgerSecret::generate());
  EXPECT_FALSE(open(change(), known_.at(1)));
}

TEST_F(SecretFollowerTest, AKnownSecretBeginsOnlyWithItsRecord)
{
  known_.add(first, LedgerSecret::generate());
  const auto refused = open(nothing(), known_.at(first));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  auto writes = nothing();
  put(writes, secret_history_table, "{}");
  EXPECT_EQ(open(writes, known_.at(first)).error().code, ErrorCode::denied);
  put(writes, secret_history_table, "no JSON");
  EXPECT_EQ(open(writes, known_.at(first)).error().code, ErrorCode::denied);
}
}
