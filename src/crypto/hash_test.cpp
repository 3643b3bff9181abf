#include "crypto/hash.h"

#include "base/encoding.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <set>
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

std::string hex(const Digest& digest)
{
  return base::to_hex(base::as_view(digest));
}

// FIPS 180-4, examples of NIST for SHA-256: one block, two blocks, a million bytes; and the empty message.
TEST(Sha256, GivesTheAnswersOfTheStandard)
{
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(
      hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(
      hex(sha256(std::string(1'000'000, 'a'))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, OfPartsIsThatOfTheWhole)
{
  EXPECT_TRUE(rc::check([](const std::string& a, const std::string& b, const std::string& c)
                        { RC_ASSERT(sha256({a, b, c}) == sha256(a + b + c)); }));
}

struct HmacVector
{
  const char* key;
  const char* message;
  const char* expected;
};

// RFC 4231 §4.2–4.4, 4.5, 4.7 and 4.8 (§4.6 truncates its output, which nobody here does).
const HmacVector hmac_vectors[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
};

TEST(HmacSha256, GivesTheAnswersOfRfc4231)
{
  for (const auto& vector : hmac_vectors)
    EXPECT_EQ(hex(HmacSha256(bytes(vector.key))(bytes(vector.message))), vector.expected);
}

TEST(HmacSha256, HashesAKeyLongerThanABlock)
{
  const std::string key(131, '\xaa');
  EXPECT_EQ(
      hex(HmacSha256(key)("Test Using Larger Than Block-Size Key - Hash Key First")),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(
      hex(HmacSha256(key)(
          "This is a test using a larger than block-size key and a larger than block-size data. The key "
          "needs to be hashed before being used by the HMAC algorithm.")),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(HmacSha256, MayBeUsedFromSeveralThreads)
{
  const HmacSha256 hmac("Jefe");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&hmac]
        {
          for (int n = 0; n < 1000; ++n)
            ASSERT_EQ(
                hex(hmac("what do ya want for nothing?")),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        });
  for (auto& thread : threads)
    thread.join();
}

// RFC 5869 A.1–A.3.
TEST(Hkdf, GivesTheAnswersOfRfc5869)
{
  const auto sequence = [](int from, int to)
  {
    std::string text;
    for (int i = from; i <= to; ++i)
      text.push_back(static_cast<char>(i));
    return text;
  };
  const std::string key(22, '\x0b');
  EXPECT_EQ(
      base::to_hex(hkdf_sha256(key, bytes("000102030405060708090a0b0c"), bytes("f0f1f2f3f4f5f6f7f8f9"), 42)),
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(
      base::to_hex(hkdf_sha256(sequence(0x00, 0x4f), sequence(0x60, 0xaf), sequence(0xb0, 0xff), 82)),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(
      base::to_hex(hkdf_sha256(key, "", "", 42)),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Hkdf, GivesAsManyBytesAsAskedFor)
{
  const auto longest = hkdf_sha256("key", "salt", "info", 255 * 32);
  for (const std::size_t size : {0U, 1U, 31U, 32U, 33U, 64U, 8160U})
    EXPECT_EQ(hkdf_sha256("key", "salt", "info", size), longest.substr(0, size));
}

TEST(RandomBytes, HaveTheSizeAndDoNotRepeat)
{
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i)
    seen.insert(random_bytes(16));
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(1000).size(), 1000U);
}

TEST(Wipe, LeavesNothingInTheMemoryOfTheString)
{
  std::string secret(1000, 'x');
  secret.resize(500);
  const std::string_view memory(secret.data(), secret.capacity());
  wipe(secret);
  EXPECT_TRUE(secret.empty());
  ASSERT_EQ(secret.data(), memory.data()) << "the memory was given back before anybody could look at it";
  EXPECT_EQ(memory.find('x'), std::string_view::npos);
}
}
}
