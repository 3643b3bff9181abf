#include "crypto/aead.h"

#include "base/encoding.h"
#include "crypto/hash.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <thread>
#include <vector>

namespace concordat::crypto
{
namespace
{
std::string bytes(std::string_view hex)
{
  return base::from_hex(hex).value();
}

template <typename Array> Array array(std::string_view hex)
{
  const auto raw = bytes(hex);
  Array result{};
  EXPECT_EQ(raw.size(), result.size());
  std::copy(raw.begin(), raw.end(), result.begin());
  return result;
}

std::string hex(const Tag& tag)
{
  return base::to_hex({reinterpret_cast<const char*>(tag.data()), tag.size()});
}

struct Vector
{
  const char* source;
  const char* key;
  const char* iv;
  const char* aad;
  const char* plain;
  const char* cipher;
  const char* tag;
};

const Vector vectors[] = {
    {"GCM submission to NIST, test case 13", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"GCM submission to NIST, test case 14", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"GCM submission to NIST, test case 15", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657b"
     "a63"
     "7b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0ab"
     "cc9"
     "f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"GCM submission to NIST, test case 16", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657b"
     "a63"
     "7b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0ab"
     "cc9"
     "f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"NIST CAVP, gcmEncryptExtIV256.rsp, text of 128 bits",
     "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce", "",
     "2db5168e932556f8089a0622981d017d", "fa4362189661d163fcd6a56d8bf0405a", "d636ac1bbedd5cc3ee727dc2ab4a9489"},
    {"NIST CAVP, gcmEncryptExtIV256.rsp, additional data of 720 bits",
     "03ccb7dbc7b8425465c2c3fc39ed0593929ffd02a45ff583bd89b79c6f646fe9", "fd119985533bd5520b301d12",
     "98e68c10bf4b5ae62d434928fc6405147c6301417303ef3a703dcfd2c0c339a4d0a89bd29fe61fecf1066ab06d7a5c31a48ffbfed22f749b1"
     "7e9"
     "bd0dc1c6f8fbd6fd4587184db964d5456132106d782338c3f117ec05229b0899",
     "", "", "cf54e7141349b66f248154427810c87a"},
};

TEST(Aead, SealsAndOpensTheVectorsOfNist)
{
  for (const auto& vector : vectors)
  {
    SCOPED_TRACE(vector.source);
    const Aead aead(bytes(vector.key));
    const auto iv = array<Iv>(vector.iv);
    auto text = bytes(vector.plain);
    const auto tag = aead.seal(iv, bytes(vector.aad), text.data(), text.size());
    EXPECT_EQ(base::to_hex(text), vector.cipher);
    EXPECT_EQ(hex(tag), vector.tag);
    EXPECT_EQ(aead.open(iv, bytes(vector.aad), bytes(vector.cipher), array<Tag>(vector.tag)), bytes(vector.plain));
  }
}

TEST(Aead, OpensWhatItSealed)
{
  EXPECT_TRUE(rc::check(
      [](const std::string& plain, const std::string& aad)
      {
        const Aead aead(random_bytes(32));
        auto text = plain;
        const auto tag = aead.seal(Iv{1}, aad, text.data(), text.size());
        RC_ASSERT(aead.open(Iv{1}, aad, text, tag).value() == plain);
      }));
}

TEST(Aead, RefusesAnyFlippedBit)
{
  const Aead aead(std::string(32, 'k'));
  const Iv iv{7};
  std::string text = "a secret";
  const std::string aad = "header";
  const auto tag = aead.seal(iv, aad, text.data(), text.size());
  ASSERT_EQ(aead.open(iv, aad, text, tag), "a secret");

  const auto refused = [&](const Iv& i, const std::string& a, const std::string& c, const Tag& t)
  {
    const auto opened = aead.open(i, a, c, t);
    return !opened && opened.error().code == ErrorCode::corrupt;
  };
  for (int bit = 0; bit < 8; ++bit)
  {
    const auto flip = static_cast<unsigned char>(1 << bit);
    for (std::size_t i = 0; i < iv.size(); ++i)
    {
      auto other = iv;
      other[i] ^= flip;
      EXPECT_TRUE(refused(other, aad, text, tag));
    }
    for (std::size_t i = 0; i < tag.size(); ++i)
    {
      auto other = tag;
      other[i] ^= flip;
      EXPECT_TRUE(refused(iv, aad, text, other));
    }
    for (std::size_t i = 0; i < aad.size(); ++i)
    {
      auto other = aad;
      other[i] = static_cast<char>(other[i] ^ flip);
      EXPECT_TRUE(refused(iv, other, text, tag));
    }
    for (std::size_t i = 0; i < text.size(); ++i)
    {
      auto other = text;
      other[i] = static_cast<char>(other[i] ^ flip);
      EXPECT_TRUE(refused(iv, aad, other, tag));
    }
  }
  EXPECT_TRUE(refused(iv, aad, text.substr(1), tag));
  EXPECT_TRUE(refused(iv, aad, "", tag));
  EXPECT_TRUE(refused(iv, "", text, tag));
  EXPECT_EQ(aead.open(iv, aad, text, tag), "a secret") << "a refusal leaves nothing behind";
}

// A key is made where the one before it lay, so that only something other than its address tells them apart.
TEST(Aead, AKeyIsNeverTakenForOneThatWasThereBefore)
{
  std::string first;
  for (int i = 0; i < 100; ++i)
  {
    const Aead aead(std::string(32, static_cast<char>(i)));
    std::string text(16, '\0');
    aead.seal(Iv{}, {}, text.data(), text.size());
    EXPECT_NE(text, first);
    first = text;
  }
}

TEST(Aead, KeysMayAlternateAndDirectionsMix)
{
  const Aead first(std::string(32, 'a'));
  const Aead second(std::string(32, 'b'));
  for (int i = 0; i < 10; ++i)
  {
    std::string one = "one";
    std::string two = "two";
    const auto tag_one = first.seal(Iv{1}, {}, one.data(), one.size());
    const auto tag_two = second.seal(Iv{1}, {}, two.data(), two.size());
    EXPECT_EQ(first.open(Iv{1}, {}, one, tag_one), "one");
    EXPECT_FALSE(first.open(Iv{1}, {}, two, tag_two));
    EXPECT_EQ(second.open(Iv{1}, {}, two, tag_two), "two");
  }
}

TEST(Aead, MayBeUsedFromSeveralThreads)
{
  const Aead shared(std::string(32, 's'));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&shared, i]
        {
          const Aead own(std::string(32, static_cast<char>(i)));
          for (int n = 0; n < 500; ++n)
          {
            const Iv iv{
                static_cast<unsigned char>(n), static_cast<unsigned char>(n >> 8), static_cast<unsigned char>(i)};
            for (const auto* aead : {&shared, &own})
            {
              std::string text = "thread " + std::to_string(i) + " text " + std::to_string(n);
              const auto plain = text;
              const auto tag = aead->seal(iv, "aad", text.data(), text.size());
              ASSERT_EQ(aead->open(iv, "aad", text, tag), plain);
            }
          }
        });
  for (auto& thread : threads)
    thread.join();
}
}
}
