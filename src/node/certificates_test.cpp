#include "node/certificates.h"

#include "consensus/signature.h"
#include "node/test_support.h"

#include <openssl/x509v3.h>

namespace concordat::node
{
namespace
{
using test::day;
using test::noon;

constexpr std::int64_t now = 1'800'000'000;

Configuration with_address(const std::string& bind, const std::string& published = "")
{
  Configuration configuration;
  configuration.interfaces.resize(1);
  configuration.interfaces[0].listen.name = "main";
  configuration.interfaces[0].listen.bind_address = bind;
  configuration.interfaces[0].published_address = published;
  return configuration;
}

const Identity& identity()
{
  static const Identity made = Identity::generate(crypto::Curve::p256);
  return made;
}

/// The names in a certificate as OpenSSL prints them.
std::string names_of(const crypto::Certificate& certificate)
{
  const auto* at = reinterpret_cast<const unsigned char*>(certificate.der().data());
  const std::unique_ptr<X509, decltype(&X509_free)> native(
      d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())), X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  const int index = X509_get_ext_by_NID(native.get(), NID_subject_alt_name, -1);
  if (index < 0)
    return "";
  X509V3_EXT_print(out.get(), X509_get_ext(native.get(), index), 0, 0);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string names_for(const Configuration& configuration)
{
  return names_of(make_certificates(configuration, identity(), {{"main", "127.0.0.1:4321"}}, now)->node);
}
}

TEST(Certificates, BeginALittleBeforeNow)
{
  auto configuration = with_address("10.0.0.4:8000");
  configuration.service_validity_days = 3;
  configuration.node_validity_days = 2;
  const auto made = make_certificates(configuration, identity(), {}, now);
  ASSERT_TRUE(made) << made.error().describe();
  for (const auto* const certificate : {&made->service, &made->node, &made->self_signed})
  {
    EXPECT_LE(certificate->not_before(), now - 5 * 60) << "a machine that is five minutes behind believes it";
    EXPECT_GE(certificate->not_before(), now - 3600);
    EXPECT_TRUE(certificate->valid_at(now));
  }
  EXPECT_NEAR(static_cast<double>(made->service.not_after()), static_cast<double>(now + 3 * day), 3600.0);
  EXPECT_NEAR(static_cast<double>(made->node.not_after()), static_cast<double>(now + 2 * day), 3600.0);
  EXPECT_TRUE(made->node.signed_by(made->service));
}

TEST(Certificates, AreNotMadeByAClockThatIsWrong)
{
  for (const std::int64_t wrong : {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1'577'836'800}})
  {
    const auto made = make_certificates(with_address("10.0.0.4:8000"), identity(), {}, wrong);
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().describe().find("clock"), std::string::npos) << made.error().describe();
    EXPECT_NE(made.error().describe().find(time_text(wrong)), std::string::npos) << made.error().describe();
  }
  auto beyond = with_address("10.0.0.4:8000");
  beyond.service_validity_days = 36'500;
  EXPECT_TRUE(make_certificates(beyond, identity(), {}, now));
  EXPECT_FALSE(make_certificates(beyond, identity(), {}, 253'402'300'000)) << "the year 9999 is the last";
}

TEST(Certificates, NameThePublishedHosts)
{
  EXPECT_EQ(names_for(with_address("10.0.0.4:8000")), "IP Address:10.0.0.4");
  EXPECT_EQ(names_for(with_address("[2001:db8::1]:8000")), "IP Address:2001:DB8:0:0:0:0:0:1");
  EXPECT_EQ(names_for(with_address("10.0.0.4:8000", "node0.example.com:443")), "DNS:node0.example.com");
  auto named = with_address("0.0.0.0:8000");
  named.subject_alt_names = {"dNSName:a.example.com", "iPAddress:192.0.2.1"};
  EXPECT_EQ(names_for(named), "DNS:a.example.com, IP Address:192.0.2.1") << "what is configured, and no more";
}

TEST(Certificates, OnTheMachineItselfItsUsualNamesWork)
{
  EXPECT_EQ(names_for(with_address("127.0.0.1:0")), "IP Address:127.0.0.1, DNS:localhost");
  EXPECT_EQ(names_for(with_address("[::1]:8000")), "IP Address:0:0:0:0:0:0:0:1, IP Address:127.0.0.1, DNS:localhost");
}

TEST(Certificates, AWildcardIsNoNameAndTheOperatorIsTold)
{
  for (const auto* const address : {"0.0.0.0:8000", "[::]:8000"})
  {
    const auto configuration = with_address(address);
    EXPECT_EQ(names_for(configuration), "IP Address:127.0.0.1, DNS:localhost") << address;
    const auto warnings = name_warnings(configuration);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("'network.rpc_interfaces.main.bind_address'"), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("'node_certificate.subject_alt_names'"), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("'published_address'"), std::string::npos) << warnings[0];
  }
  EXPECT_TRUE(name_warnings(with_address("0.0.0.0:8000", "node0.example.com:443")).empty());
  EXPECT_EQ(name_warnings(with_address("10.0.0.4:8000", "0.0.0.0:8000")).size(), 1U);
  auto named = with_address("0.0.0.0:8000");
  named.subject_alt_names = {"dNSName:a.example.com"};
  ASSERT_EQ(name_warnings(named).size(), 1U);
  EXPECT_EQ(name_warnings(named)[0].find("subject_alt_names"), std::string::npos);
  EXPECT_TRUE(name_warnings(with_address("127.0.0.1:0")).empty());
}

TEST(Certificates, AWrongSubjectIsToldWithItsKey)
{
  auto configuration = with_address("10.0.0.4:8000");
  configuration.node_subject = "no name";
  EXPECT_NE(
      make_certificates(configuration, identity(), {}, now).error().describe().find("'node_certificate'"),
      std::string::npos);
  configuration = with_address("10.0.0.4:8000");
  configuration.subject_alt_names = {"node0.example.com"};
  EXPECT_NE(
      make_certificates(configuration, identity(), {}, now).error().describe().find("'node_certificate'"),
      std::string::npos);
  configuration = with_address("10.0.0.4:8000");
  configuration.service_subject = "";
  EXPECT_NE(
      make_certificates(configuration, identity(), {}, now).error().describe().find("'command.start'"),
      std::string::npos);
}

TEST(Clock, BehindTheServicesCertificateSignsNothing)
{
  const auto service = test::certificate("service", noon, 10);
  EXPECT_TRUE(check_issuer(service, noon));
  EXPECT_TRUE(check_issuer(service, noon + 100 * day)) << "the service may still mend itself";
  const auto behind = check_issuer(service, noon - 1);
  ASSERT_FALSE(behind);
  EXPECT_NE(behind.error().message.find(time_text(noon - 1)), std::string::npos) << behind.error().message;
  EXPECT_NE(behind.error().message.find(time_text(noon)), std::string::npos) << behind.error().message;
}

TEST(Clock, OfTheNewestSignatureIsReadFromTheLedger)
{
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const consensus::Signer signer{"node", key, "PEM", key, "issuer", "subject"};
  kv::State state;
  state.apply(consensus::signature_writes(signer, {2, 7}, Digest{1}, "tree", now), {2, 7});
  kv::SnapshotTransaction signed_state(std::make_shared<const kv::State>(state));
  EXPECT_EQ(newest_signature_time(signed_state, key.public_key()), now);
  EXPECT_EQ(newest_signature_time(signed_state, identity().service_key.public_key()), 0);
  kv::SnapshotTransaction empty(std::make_shared<const kv::State>());
  EXPECT_EQ(newest_signature_time(empty, key.public_key()), 0);
}

TEST(Clock, IsNamedWhereCertificatesOrTheLedgerContradictIt)
{
  const auto service = test::certificate("service", noon, 10);
  const auto node = test::certificate("node", noon, 5);
  EXPECT_TRUE(time_warnings(service, node, 0, noon).empty());
  EXPECT_TRUE(time_warnings(service, node, noon + 3600, noon).empty()) << "clocks are corrected now and then";
  const auto gone_back = time_warnings(service, node, noon + 3601, noon);
  ASSERT_EQ(gone_back.size(), 1U);
  EXPECT_NE(gone_back[0].find(time_text(noon + 3601)), std::string::npos) << gone_back[0];
  EXPECT_NE(gone_back[0].find("clock"), std::string::npos) << gone_back[0];
  EXPECT_EQ(time_warnings(service, node, 0, noon - 1).size(), 2U);
  EXPECT_EQ(time_warnings(service, node, 0, noon + 5 * day).size(), 1U);
  EXPECT_EQ(time_warnings(service, node, 0, noon + 10 * day).size(), 2U);
  EXPECT_EQ(time_text(noon), "2023-11-14 22:13:20 UTC");
}
}
