#include "crypto/signing_request.h"

#include "base/encoding.h"
#include "crypto/certificate.h"

#include <gtest/gtest.h>

namespace concordat::crypto
{
namespace
{
const std::vector<std::string> names = {"dNSName:node1.example.com", "iPAddress:192.0.2.1", "iPAddress:2001:db8::1"};

std::string der_of(const std::string& pem)
{
  const auto begin = pem.find('\n') + 1;
  std::string text;
  for (const char c : pem.substr(begin, pem.rfind("-----END") - begin))
    if (c != '\n')
      text += c;
  return base::from_base64(text).value();
}

std::string pem_of(const std::string& der)
{
  return "-----BEGIN CERTIFICATE REQUEST-----\n" + base::to_base64(der) + "\n-----END CERTIFICATE REQUEST-----\n";
}
}

TEST(SigningRequest, SaysWhatWasAskedFor)
{
  for (const auto curve : {Curve::p256, Curve::p384})
  {
    const auto key = KeyPair::generate(curve);
    const auto pem = make_signing_request(key, "CN=a node\\, with a comma,O=example", names);
    ASSERT_TRUE(pem) << pem.error().describe();
    const auto read = SigningRequest::from_pem(*pem);
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(read->key.id(), key.public_key().id());
    EXPECT_EQ(read->subject, "CN=a node\\, with a comma,O=example");
    EXPECT_EQ(read->subject_alt_names, names);
  }
}

TEST(SigningRequest, NeedsNoAlternativeNames)
{
  const auto read =
      SigningRequest::from_pem(make_signing_request(KeyPair::generate(Curve::p256), "CN=node", {}).value());
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_TRUE(read->subject_alt_names.empty());
}

TEST(SigningRequest, CanBeCertified)
{
  const auto service = KeyPair::generate(Curve::p384);
  CertificateRequest ca;
  ca.subject = "CN=service";
  ca.is_ca = true;
  const auto issuer = self_signed(service, ca).value();
  const auto key = KeyPair::generate(Curve::p256);
  const auto read = SigningRequest::from_pem(make_signing_request(key, "CN=node", names).value()).value();
  CertificateRequest asked;
  asked.subject = read.subject;
  asked.subject_alt_names = read.subject_alt_names;
  const auto certificate = issue(read.key, asked, service, issuer);
  ASSERT_TRUE(certificate) << certificate.error().describe();
  EXPECT_TRUE(certificate->signed_by(issuer));
  EXPECT_EQ(certificate->subject(), "CN=node");
}

TEST(SigningRequest, NoBitOfItCanBeChanged)
{
  const auto der = der_of(make_signing_request(KeyPair::generate(Curve::p256), "CN=node", names).value());
  ASSERT_TRUE(SigningRequest::from_pem(pem_of(der)));
  for (std::size_t i = 0; i < der.size(); ++i)
  {
    auto changed = der;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    EXPECT_FALSE(SigningRequest::from_pem(pem_of(changed))) << "byte " << i;
  }
}

TEST(SigningRequest, WhatIsNoneIsRefused)
{
  const auto pem = make_signing_request(KeyPair::generate(Curve::p256), "CN=node", names).value();
  const auto der = der_of(pem);
  for (const auto& text :
       {std::string(), std::string("no"), pem + pem, pem_of(""), pem_of(der + '\0'), pem_of(der.substr(0, 100)),
        pem_of(std::string(100, '\x30')), pem + std::string(70'000, '\n')})
    EXPECT_FALSE(SigningRequest::from_pem(text)) << text.substr(0, 200);
  for (std::size_t size = 0; size < der.size(); ++size)
    EXPECT_FALSE(SigningRequest::from_pem(pem_of(der.substr(0, size)))) << size;
}

TEST(SigningRequest, NamesThatAreNoneAreNotAskedFor)
{
  const auto key = KeyPair::generate(Curve::p256);
  EXPECT_FALSE(make_signing_request(key, "node", {}));
  EXPECT_FALSE(make_signing_request(key, "CN=node", {"dNSName:a b"}));
  EXPECT_FALSE(make_signing_request(key, "CN=node", {"node0"}));
}
}
