#include "cli/keygen.h"

#include "base/files.h"
#include "cli/temporary_directory.h"
#include "crypto/certificate.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace concordat::cli
{
namespace
{
std::string content(const std::string& path)
{
  return base::RealFileSystem().read(path).value_or("");
}

unsigned mode(const std::string& path)
{
  return static_cast<unsigned>(std::filesystem::status(path).permissions());
}
}

TEST(Keygen, WritesAKeyAndItsCertificate)
{
  for (const auto& [curve, expected] :
       {std::pair("secp384r1", crypto::Curve::p384), std::pair("secp256r1", crypto::Curve::p256)})
  {
    const test::TemporaryDirectory directory;
    KeygenOptions options;
    options.name = "member0";
    options.directory = directory.path();
    options.curve = curve;
    const auto paths = generate_keys(options);
    ASSERT_TRUE(paths);
    EXPECT_EQ(paths->size(), 2U);
    const auto key = crypto::KeyPair::from_pem(content(directory.path() + "/member0_privk.pem"));
    const auto certificate = crypto::Certificate::from_pem(content(directory.path() + "/member0_cert.pem"));
    ASSERT_TRUE(key);
    ASSERT_TRUE(certificate);
    EXPECT_EQ(certificate->public_key().der(), key->public_key().der());
    EXPECT_EQ(certificate->public_key().curve(), expected);
    EXPECT_TRUE(certificate->signed_by(*certificate));
    EXPECT_EQ(certificate->subject(), "CN=member0");
    EXPECT_EQ(certificate->not_after() - certificate->not_before(), 365 * 86400 - 1);
  }
}

TEST(Keygen, LetsOnlyTheOwnerReadPrivateKeys)
{
  const test::TemporaryDirectory directory;
  KeygenOptions options;
  options.name = "m";
  options.directory = directory.path();
  options.encryption = true;
  ASSERT_TRUE(generate_keys(options));
  EXPECT_EQ(mode(directory.path() + "/m_privk.pem"), 0600U);
  EXPECT_EQ(mode(directory.path() + "/m_enc_privk.pem"), 0600U);
  EXPECT_EQ(mode(directory.path() + "/m_cert.pem"), 0644U);
  EXPECT_EQ(mode(directory.path() + "/m_enc_pubk.pem"), 0644U);
  EXPECT_TRUE(content(directory.path() + "/m_enc_pubk.pem").starts_with("-----BEGIN PUBLIC KEY-----"));
  EXPECT_TRUE(content(directory.path() + "/m_enc_privk.pem").find("PRIVATE KEY-----") != std::string::npos);
}

TEST(Keygen, NeverReplacesAFileUnlessForced)
{
  const test::TemporaryDirectory directory;
  KeygenOptions options;
  options.name = "m";
  options.directory = directory.path();
  std::ofstream(directory.path() + "/m_cert.pem") << "mine";
  const auto refused = generate_keys(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, Exit::failed);
  EXPECT_EQ(content(directory.path() + "/m_cert.pem"), "mine");
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/m_privk.pem"));
  options.force = true;
  EXPECT_TRUE(generate_keys(options));
  EXPECT_NE(content(directory.path() + "/m_cert.pem"), "mine");
  EXPECT_EQ(mode(directory.path() + "/m_privk.pem"), 0600U);
}

TEST(Keygen, RefusesNamesThatWouldLeadElsewhere)
{
  for (const auto* name : {"", "../x", "a/b", ".hidden", "-x", "a b", "a,CN=b"})
  {
    KeygenOptions options;
    options.name = name;
    const auto refused = generate_keys(options);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().exit, Exit::usage);
  }
}
}
