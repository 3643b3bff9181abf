#include "crypto/oaep.h"

#include "base/encoding.h"
#include "base/files.h"
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace concordat::crypto
{
namespace
{
struct Owner
{
  explicit Owner(const RsaPair& pair)
      : public_key(PublicKey::from_pem(pair.public_pem).value()),
        key(DecryptionKey::from_pem(pair.private_pem).value())
  {
  }
  PublicKey public_key;
  DecryptionKey key;
};

const Owner& somebody()
{
  static const Owner owner(generate_rsa());
  return owner;
}
}

TEST(Oaep, WhatIsWrappedForAKeyItUnwraps)
{
  const auto secret = random_bytes(32);
  const auto wrapped = wrap(somebody().public_key, secret);
  ASSERT_TRUE(wrapped) << wrapped.error().describe();
  EXPECT_EQ(wrapped->size(), 256U);
  EXPECT_EQ(wrapped->find(secret), std::string::npos);
  EXPECT_EQ(somebody().key.unwrap(*wrapped), secret);
  EXPECT_NE(wrap(somebody().public_key, secret).value(), *wrapped) << "never twice to the same bytes";
  EXPECT_EQ(somebody().key.public_key().id(), somebody().public_key.id());
}

TEST(Oaep, NobodyElseUnwrapsIt)
{
  const Owner other(generate_rsa());
  const auto wrapped = wrap(somebody().public_key, "secret").value();
  const auto refused = other.key.unwrap(wrapped);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

TEST(Oaep, AnythingElseIsRefused)
{
  const auto wrapped = wrap(somebody().public_key, "secret").value();
  for (const std::size_t at : {std::size_t{0}, wrapped.size() / 2, wrapped.size() - 1})
  {
    auto changed = wrapped;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(somebody().key.unwrap(changed)) << at;
  }
  EXPECT_FALSE(somebody().key.unwrap(""));
  EXPECT_FALSE(somebody().key.unwrap(wrapped.substr(1)));
  EXPECT_FALSE(somebody().key.unwrap(wrapped + "x"));
  EXPECT_FALSE(somebody().key.unwrap(std::string(256, '\xff'))) << "larger than the modulus";
}

TEST(Oaep, ASecretHasRoomInAKeyOrIsRefused)
{
  EXPECT_TRUE(wrap(somebody().public_key, std::string(256 - 66, 's')));
  const auto refused = wrap(somebody().public_key, std::string(256 - 65, 's'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
}

TEST(Oaep, OtherKeysAreRefused)
{
  const auto pair = KeyPair::generate(Curve::p256);
  EXPECT_FALSE(wrap(pair.public_key(), "secret"));
  EXPECT_FALSE(DecryptionKey::from_pem(pair.private_pem()));
  for (const auto* const text : {"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\xff"})
    EXPECT_FALSE(DecryptionKey::from_pem(text)) << text;
  EXPECT_FALSE(DecryptionKey::from_pem(generate_rsa().public_pem)) << "a public key unwraps nothing";
}

/// The recovery shares of a real service, which another program wrapped in the same way (ledger-format.md §10.4).
TEST(Oaep, ShareOfAForeignServiceIsUnwrapped)
{
  const char* const given = std::getenv("CONCORDAT_REFERENCE");
  const auto service = std::string(given ? given : "../shared/reference") + "/ledgers/service_b";
  base::RealFileSystem files;
  if (!files.exists(service))
    GTEST_SKIP() << "not run: '" << service << "' is not there (CONCORDAT_REFERENCE says where it is)";
  const auto ledger = files.read(service + "/ledger/ledger_16-84.committed").value();
  const auto key = DecryptionKey::from_pem(files.read(service + "/common/member0_enc_privk.pem").value());
  ASSERT_TRUE(key) << key.error().describe();
  // Which of them is whose is not looked at: exactly one of those that stand together is this member's.
  const std::string name = "\"encrypted_shares\":{";
  const auto from = ledger.find(name);
  ASSERT_NE(from, std::string::npos);
  const auto list = ledger.substr(from + name.size(), ledger.find('}', from) - from - name.size());
  int opened = 0;
  for (auto at = list.find(":\""); at != std::string::npos; at = list.find(":\"", at + 1))
  {
    const auto wrapped = base::from_base64(list.substr(at + 2, list.find('"', at + 2) - at - 2));
    ASSERT_TRUE(wrapped);
    const auto share = key->unwrap(*wrapped);
    opened += share ? 1 : 0;
    if (share)
    {
      EXPECT_EQ(share->size(), 44U);
    }
  }
  EXPECT_EQ(opened, 1);
}
}
