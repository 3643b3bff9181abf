#include "ledger/wrapped_secret.h"

#include "base/encoding.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
struct Somebody
{
  crypto::RsaPair pair = crypto::generate_rsa();
  crypto::PublicKey key = crypto::PublicKey::from_pem(pair.public_pem).value();
  SecretReceiver receiver{"abc", crypto::DecryptionKey::from_pem(pair.private_pem).value()};
};

const Somebody& somebody()
{
  static const Somebody one;
  return one;
}

std::string text_of(std::string_view wrapped)
{
  return R"({"abc":[{"version":7,"encrypted_secret":")" + base::to_base64(wrapped) + R"("}]})";
}
}

TEST(WrappedSecret, HasTheFormOfTheTable)
{
  const LedgerSecret secret(std::string(32, 's'));
  const auto text = wrap_secret(secret, 20, {{"abc", somebody().key}, {"def", somebody().key}});
  ASSERT_TRUE(text) << text.error().describe();
  const auto value = boost::json::parse(*text).get_object();
  ASSERT_EQ(value.size(), 2U);
  for (const auto* const node : {"abc", "def"})
  {
    const auto& list = value.at(node).get_array();
    ASSERT_EQ(list.size(), 1U);
    const auto& element = list[0].get_object();
    EXPECT_EQ(element.size(), 2U);
    EXPECT_EQ(element.at("version").as_int64(), 20);
    const auto wrapped = base::from_base64(element.at("encrypted_secret").as_string());
    ASSERT_TRUE(wrapped);
    EXPECT_EQ(somebody().receiver.key.unwrap(*wrapped), secret.raw());
  }
  const auto taken = unwrap_secret(*text, 20, somebody().receiver);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->raw(), secret.raw());
}

TEST(WrappedSecret, OneOfSeveralForANodeIsFoundByItsFirstSeqno)
{
  const auto wrap = [](char letter)
  { return base::to_base64(crypto::wrap(somebody().key, std::string(32, letter)).value()); };
  const auto text =
      R"({"abc":[{"version":null,"encrypted_secret":")" + wrap('n') + R"("},{"version":7,"encrypted_secret":")" +
      wrap('a') + R"(","previous_secret_stored_version":3},{"version":9,"encrypted_secret":")" + wrap('b') + R"("}]})";
  EXPECT_EQ((*unwrap_secret(text, 7, somebody().receiver))->raw().front(), 'a');
  EXPECT_EQ((*unwrap_secret(text, 9, somebody().receiver))->raw().front(), 'b');
  EXPECT_FALSE(unwrap_secret(text, 8, somebody().receiver).value());
}

TEST(WrappedSecret, WhatIsNotThereIsNothing)
{
  for (const auto* const text :
       {"{}", R"({"def":7})", R"({"abc":[]})", R"({"abc":[{}]})", R"({"abc":[{"version":8}]})"})
  {
    const auto taken = unwrap_secret(text, 7, somebody().receiver);
    ASSERT_TRUE(taken) << text;
    EXPECT_FALSE(*taken) << text;
  }
}

TEST(WrappedSecret, AnythingElseIsRefused)
{
  for (const std::string text :
       {"", "7", "[]", R"({"abc":7})", R"({"abc":[7]})", R"({"abc":[{"version":7}]})",
        R"({"abc":[{"version":7,"encrypted_secret":7}]})", R"({"abc":[{"version":7,"encrypted_secret":"?"}]})"})
    EXPECT_FALSE(unwrap_secret(text, 7, somebody().receiver)) << text;
  EXPECT_FALSE(unwrap_secret(text_of("no key has made this"), 7, somebody().receiver));
  EXPECT_FALSE(unwrap_secret(text_of(std::string(5000, 'x')), 7, somebody().receiver));
  EXPECT_FALSE(unwrap_secret(std::string((std::size_t{16} << 20) + 1, ' '), 7, somebody().receiver));
  for (const std::size_t size : {0, 16, 31, 33, 64})
  {
    const auto wrapped = crypto::wrap(somebody().key, std::string(size, 's')).value();
    EXPECT_FALSE(unwrap_secret(text_of(wrapped), 7, somebody().receiver)) << size;
  }
}

TEST(WrappedSecret, OfAnErrorNothingSecretIsSaid)
{
  const auto wrapped = crypto::wrap(somebody().key, std::string(31, 's')).value();
  const auto refused = unwrap_secret(text_of(wrapped), 7, somebody().receiver);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().describe().find("sss"), std::string::npos);
}

TEST(WrappedSecret, NothingIsWrappedForAKeyThatSigns)
{
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const auto refused = wrap_secret(LedgerSecret::generate(), 7, {{"abc", key.public_key()}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().describe().find("abc"), std::string::npos);
}
}
