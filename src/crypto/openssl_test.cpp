#include "crypto/openssl.h"

#include "base/encoding.h"
#include "crypto/aead.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

namespace concordat::crypto
{
namespace
{
// A TLS connection of the same thread would take what is left there for its own failure.
TEST(OpenSsl, NoCallLeavesAnErrorInTheQueue)
{
  ERR_clear_error();
  const auto clean = [] { return ERR_peek_error() == 0; };
  for (const auto curve : {Curve::p256, Curve::p384, Curve::p521})
  {
    const auto pair = KeyPair::generate(curve);
    const auto& key = pair.public_key();
    EXPECT_TRUE(clean()) << "generate";
    EXPECT_TRUE(KeyPair::from_pem(pair.private_pem()));
    EXPECT_TRUE(clean()) << "a good private key";
    EXPECT_FALSE(KeyPair::from_pem("x"));
    EXPECT_FALSE(KeyPair::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    EXPECT_TRUE(clean()) << "a bad private key";
    EXPECT_TRUE(PublicKey::from_pem(key.pem()));
    EXPECT_FALSE(PublicKey::from_der("x"));
    EXPECT_FALSE(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
    EXPECT_TRUE(clean()) << "public keys";
    EXPECT_TRUE(key.verify_digest(Digest{}, pair.sign_digest(Digest{})));
    EXPECT_FALSE(key.verify_digest(Digest{}, "x"));
    EXPECT_FALSE(key.verify_digest(Digest{1}, pair.sign_digest(Digest{})));
    EXPECT_FALSE(key.verify_cose("x", std::string(2 * facts(curve).size, '\0')));
    EXPECT_TRUE(clean()) << "signatures";

    const auto certificate = self_signed(pair, {"CN=x,O=y", {"iPAddress:::1", "dNSName:x"}, 0, 1, true});
    ASSERT_TRUE(certificate);
    EXPECT_TRUE(clean()) << "a certificate";
    EXPECT_TRUE(Certificate::from_pem(certificate->pem()));
    EXPECT_TRUE(certificate->signed_by(*certificate));
    EXPECT_EQ(certificate->subject(), "CN=x,O=y");
    EXPECT_TRUE(clean()) << "a certificate read";
    EXPECT_FALSE(self_signed(pair, {"QQ=x", {}, 0, 1, true}));
    EXPECT_FALSE(self_signed(pair, {"C=xxxx", {}, 0, 1, true}));
    EXPECT_FALSE(self_signed(pair, {"CN=x", {"iPAddress:x"}, 0, 1, true}));
    EXPECT_FALSE(Certificate::from_der("x"));
    EXPECT_TRUE(clean()) << "bad certificates";
  }
  EXPECT_TRUE(PublicKey::from_pem(generate_rsa().public_pem));
  EXPECT_FALSE(KeyPair::from_pem(generate_rsa().private_pem));
  EXPECT_TRUE(clean()) << "RSA";
  const Aead aead(std::string(32, 'k'));
  EXPECT_FALSE(aead.open(Iv{}, "", "text", Tag{}));
  EXPECT_TRUE(clean()) << "a tag";
}

// A prompt at the node's terminal would stop it for ever.
TEST(OpenSsl, AnEncryptedKeyIsRefusedWithoutAsking)
{
  // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:secret
  const auto* const encrypted = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhHQeMmgXMc4QICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEIDrQbfMWeOz+EbAfd9fDz8EgZAF
xF3ro6HKEb5/SC0cPeTuNIgV7oJ6yGK2Oc/gCyNUJLi17mMjgzai6QDkgyoBH/Ug
NJRf8M9Aid/Ep7Z2UVM7Aet932bLSL0eSDC+ynv4r1HHgN3c1ouSCqMmg2vimKa9
kPUxQcCup6kSQFCmOf3mhsD2n1aMbizE53Qyp490SKGZ/fyU1LByzd5YTPnqb7Q=
-----END ENCRYPTED PRIVATE KEY-----
)";
  const auto read = KeyPair::from_pem(encrypted);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::invalid);
}

TEST(Pem, HasLinesOf64CharactersAndIsReadBack)
{
  for (const std::size_t size : {1U, 47U, 48U, 49U, 1000U})
  {
    const std::string der(size, '\x5a');
    const auto text = to_pem(der, "THING");
    EXPECT_EQ(pem_content(text, "THING", "thing"), der);
    EXPECT_FALSE(pem_content(text, "OTHER", "other"));
    EXPECT_FALSE(pem_content(text + text, "THING", "thing"));
    EXPECT_TRUE(text.ends_with("-----END THING-----\n"));
    EXPECT_EQ(text.find_first_of("\r \t", text.find('\n')), text.find("END THING") + 3);
  }
  EXPECT_FALSE(pem_content(
      "-----BEGIN THING-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END THING-----\n", "THING",
      "thing"));
}
}
}
