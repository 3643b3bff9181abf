#include "crypto/keys.h"

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/test_foreign.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <thread>
#include <vector>

namespace concordat::crypto
{
namespace
{
constexpr Curve curves[] = {Curve::p256, Curve::p384, Curve::p521};

std::string bytes(std::string_view hex)
{
  return base::from_hex(hex).value();
}

/// RFC 6979 appendix A.2.5–A.2.7: key and signatures of "sample" and "test" with the curve's own hash.
struct Vector
{
  Curve curve;
  const char* x;
  const char* y;
  const char* sample_r;
  const char* sample_s;
};

const Vector vectors[] = {
    {Curve::p256, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
     "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
     "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {Curve::p384, "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13",
     "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
     "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
     "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"},
    {Curve::p521,
     "01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd76"
     "1dc"
     "ac474b9a2f5023a4",
     "00493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81e"
     "a66"
     "956dfeaa2bfdfcf5",
     "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91"
     "f9b"
     "15bf05ec36e377fa",
     "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc4"
     "399"
     "7f1ee0e44da4a67a"},
};

PublicKey key_of(const Vector& vector)
{
  return PublicKey::from_der(std::string(facts(vector.curve).spki_prefix) + bytes(vector.x) + bytes(vector.y)).value();
}

TEST(PublicKey, VerifiesTheSignaturesOfRfc6979)
{
  for (const auto& vector : vectors)
  {
    const auto key = key_of(vector);
    EXPECT_EQ(key.curve(), vector.curve);
    const auto signature = bytes(vector.sample_r) + bytes(vector.sample_s);
    EXPECT_TRUE(key.verify_cose("sample", signature));
    EXPECT_FALSE(key.verify_cose("samplf", signature));
    for (std::size_t i = 0; i < signature.size(); ++i)
    {
      auto tampered = signature;
      tampered[i] = static_cast<char>(tampered[i] ^ 1);
      EXPECT_FALSE(key.verify_cose("sample", tampered)) << "byte " << i;
    }
  }
}

// The same signature in DER, over the digest that SHA-256 gives for "sample".
TEST(PublicKey, TakesADigestAsItIs)
{
  const auto key = key_of(vectors[0]);
  const auto der = bytes("3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657"
                         "c41d436c7a1b6e29f65f3e9"
                         "00dbb9aff4064dc4ab2f843acda8");
  EXPECT_TRUE(key.verify_digest(sha256("sample"), der));
  EXPECT_FALSE(key.verify_digest(sha256("test"), der));
  EXPECT_FALSE(key.verify_digest(sha256(base::as_view(sha256("sample"))), der));
}

// ledger-format.md §6.3: a node on P-384 signs the 32 bytes of the root.
TEST_F(ForeignSignatures, OfANodeVerifyAndTheIdIsThatOfTheKey)
{
  const auto& signed_by_node = signatures[0];
  const auto cert = Certificate::from_pem(signed_by_node.node_cert).value();
  EXPECT_EQ(cert.public_key().id(), signed_by_node.node);
  const auto& digest = signed_by_node.root;
  const auto& der = signed_by_node.node_signature;
  EXPECT_TRUE(cert.public_key().verify_digest(digest, der));
  for (std::size_t i = 0; i < der.size(); ++i)
  {
    auto tampered = der;
    tampered[i] = static_cast<char>(tampered[i] ^ 1);
    EXPECT_FALSE(cert.public_key().verify_digest(digest, tampered)) << "byte " << i;
  }
  EXPECT_FALSE(cert.public_key().verify_digest(digest, der + '\0'));
  EXPECT_FALSE(cert.public_key().verify_digest(digest, ""));
}

TEST(PublicKey, RefusesSignaturesThatEverythingWouldFit)
{
  for (const auto curve : curves)
  {
    const auto key = KeyPair::generate(curve).public_key();
    const auto size = facts(curve).size;
    EXPECT_FALSE(key.verify_cose("message", std::string(2 * size, '\0')));
    EXPECT_FALSE(key.verify_cose("message", std::string(2 * size, '\xff')));
    EXPECT_FALSE(key.verify_cose("message", ""));
    EXPECT_FALSE(key.verify_digest(Digest{}, bytes("3006020100020100")));
    EXPECT_FALSE(key.verify_digest(Digest{}, bytes("3006020101020101")));
  }
}

TEST(KeyPair, SignsSoThatOnlyItsOwnKeyVerifies)
{
  for (const auto curve : curves)
  {
    const auto pair = KeyPair::generate(curve);
    const auto other = KeyPair::generate(curve).public_key();
    const auto digest = sha256("message");
    const auto der = pair.sign_digest(digest);
    EXPECT_TRUE(pair.public_key().verify_digest(digest, der));
    EXPECT_FALSE(pair.public_key().verify_digest(sha256("other"), der));
    EXPECT_FALSE(other.verify_digest(digest, der));

    const auto fixed = pair.sign_cose("message");
    EXPECT_EQ(fixed.size(), 2 * facts(curve).size);
    EXPECT_TRUE(pair.public_key().verify_cose("message", fixed));
    EXPECT_FALSE(pair.public_key().verify_cose("other", fixed));
    EXPECT_FALSE(pair.public_key().verify_cose("message", fixed.substr(1)));
    EXPECT_FALSE(pair.public_key().verify_cose("message", fixed + '\0'));
    EXPECT_FALSE(other.verify_cose("message", fixed));
  }
}

// One signature in 128 or so has an r or s with leading zeros, whose DER is shorter than the fixed width.
TEST(KeyPair, KeepsTheWidthOfShortNumbers)
{
  const auto pair = KeyPair::generate(Curve::p256);
  int short_ones = 0;
  for (int i = 0; i < 2000 && short_ones < 3; ++i)
  {
    const auto message = std::to_string(i);
    const auto signature = pair.sign_cose(message);
    ASSERT_EQ(signature.size(), 64U);
    // All of them: one whose zeros were lost does not show that it was short.
    ASSERT_TRUE(pair.public_key().verify_cose(message, signature)) << i;
    if (signature[0] == '\0' || signature[32] == '\0')
      ++short_ones;
  }
  EXPECT_EQ(short_ones, 3);
}

TEST(KeyPair, SurvivesItsOwnPem)
{
  for (const auto curve : curves)
  {
    const auto pair = KeyPair::generate(curve);
    EXPECT_TRUE(pair.private_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    const auto again = KeyPair::from_pem(pair.private_pem());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->public_key().id(), pair.public_key().id());
    EXPECT_TRUE(pair.public_key().verify_cose("x", again->sign_cose("x")));
  }
}

// RFC 6979 A.2.5 as `openssl ecparam` and `openssl ec` write keys: SEC 1, with a block of parameters before it.
TEST(KeyPair, ReadsSec1)
{
  const auto sec1 = bytes("30770201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a00a06082a8648"
                          "ce3d030107a1440342000460fe"
                          "d4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64"
                          "f2f1b20c2d7e9f5177a3c294"
                          "d4462299");
  const auto parameters = to_pem(bytes("06082a8648ce3d030107"), "EC PARAMETERS");
  const auto pair = KeyPair::from_pem(parameters + to_pem(sec1, "EC PRIVATE KEY"));
  ASSERT_TRUE(pair) << pair.error().describe();
  EXPECT_EQ(pair->public_key().id(), key_of(vectors[0]).id());
}

TEST(KeyPair, RefusesWhatIsNotAPairOnACurve)
{
  const auto not_its_public_part = bytes("30770201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f672"
                                         "2a00a06082a8648ce3d030107a1440342000460fe"
                                         "d4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a"
                                         "41ae9e95628bc64f2f1b20c2d7e9f5177a3c294"
                                         "d4462299");
  EXPECT_FALSE(KeyPair::from_pem(to_pem(not_its_public_part, "EC PRIVATE KEY")));
  EXPECT_FALSE(KeyPair::from_pem(""));
  EXPECT_FALSE(KeyPair::from_pem("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"));
  EXPECT_FALSE(KeyPair::from_pem(KeyPair::generate(Curve::p256).public_key().pem()));
  EXPECT_FALSE(KeyPair::from_pem(generate_rsa().private_pem));
  const auto refused = KeyPair::from_pem(std::string(100'000, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
}

TEST(PublicKey, SurvivesDerAndPem)
{
  for (const auto curve : curves)
  {
    const auto key = KeyPair::generate(curve).public_key();
    const auto from_der = PublicKey::from_der(key.der());
    const auto from_pem = PublicKey::from_pem(key.pem());
    ASSERT_TRUE(from_der);
    ASSERT_TRUE(from_pem);
    EXPECT_EQ(from_der->der(), key.der());
    EXPECT_EQ(from_pem->der(), key.der());
    EXPECT_EQ(from_pem->curve(), curve);
    EXPECT_EQ(key.id(), base::to_hex(base::as_view(sha256(key.der()))));
  }
}

TEST(PublicKey, RefusesBytesThatAreNotOneKeyInDer)
{
  const auto key = key_of(vectors[0]);
  const auto prefix = std::string(facts(Curve::p256).spki_prefix);
  EXPECT_FALSE(PublicKey::from_der(""));
  EXPECT_FALSE(PublicKey::from_der(key.der() + '\0'));
  EXPECT_FALSE(PublicKey::from_der(prefix + std::string(64, '\x01'))) << "a point beside the curve";
  EXPECT_FALSE(PublicKey::from_der(std::string(5000, '\x30')));
  for (std::size_t size = 0; size < key.der().size(); ++size)
    EXPECT_FALSE(PublicKey::from_der(key.der().substr(0, size)));

  auto hybrid = prefix;
  hybrid.back() = '\x07';
  EXPECT_FALSE(PublicKey::from_der(hybrid + bytes(vectors[0].x) + bytes(vectors[0].y)));
  const auto compressed = bytes("3039301306072a8648ce3d020106082a8648ce3d030107032200") + '\x03' + bytes(vectors[0].x);
  EXPECT_FALSE(PublicKey::from_der(compressed));
  // Ed25519, RFC 8410 §10.1.
  EXPECT_FALSE(PublicKey::from_der(
      bytes("302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")));

  EXPECT_FALSE(PublicKey::from_pem(key.pem() + key.pem()));
  EXPECT_FALSE(PublicKey::from_pem(KeyPair::generate(Curve::p256).private_pem()));
  EXPECT_FALSE(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n"));
}

TEST(PublicKey, MayBeRsaButThenVerifiesNothing)
{
  const auto rsa = generate_rsa();
  const auto key = PublicKey::from_pem(rsa.public_pem);
  ASSERT_TRUE(key) << key.error().describe();
  EXPECT_FALSE(key->curve());
  EXPECT_FALSE(key->verify_digest(Digest{}, std::string(256, '\1')));
  EXPECT_FALSE(key->verify_cose("x", std::string(256, '\1')));
  EXPECT_TRUE(rsa.private_pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

TEST(PublicKey, OfRsaIsRefusedBelow2048Bits)
{
  const Owned<EVP_PKEY, EVP_PKEY_free> key(EVP_RSA_gen(1024));
  ASSERT_TRUE(key);
  unsigned char* raw = nullptr;
  const int size = i2d_PUBKEY(key.get(), &raw);
  ASSERT_GT(size, 0);
  const std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  const auto read = PublicKey::from_der(der);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("1024 bits"), std::string::npos) << read.error().message;
}

TEST(KeyPair, MayBeUsedFromSeveralThreads)
{
  const auto pair = KeyPair::generate(Curve::p256);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&pair, i]
        {
          for (int n = 0; n < 20; ++n)
          {
            const auto copy = pair;
            const auto message = std::to_string(i) + "." + std::to_string(n);
            ASSERT_TRUE(pair.public_key().verify_cose(message, copy.sign_cose(message)));
            ASSERT_TRUE(copy.public_key().verify_digest(sha256(message), pair.sign_digest(sha256(message))));
            ASSERT_EQ(copy.public_key().id(), pair.public_key().id());
          }
        });
  for (auto& thread : threads)
    thread.join();
}
}
}
