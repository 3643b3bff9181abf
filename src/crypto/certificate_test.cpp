#include "crypto/certificate.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/test_foreign.h"

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <set>
#include <thread>

namespace concordat::crypto
{
namespace
{
constexpr std::int64_t now = 1'800'000'000;

CertificateRequest service_request()
{
  return {"CN=CCF Service", {}, now, 30, true};
}

CertificateRequest node_request()
{
  return {"CN=CCF Node", {"iPAddress:127.0.0.1", "iPAddress:2001:db8::1", "dNSName:node.example.com"}, now, 10, false};
}

using Native = Owned<X509, X509_free>;

Native native(const Certificate& certificate)
{
  const auto& der = certificate.der();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  return Native(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

/// What a careful TLS client does: the whole of RFC 5280 §6.1, as OpenSSL does it in its strict mode.
/// @param between  shown by the server beside its own
/// @return empty if the chain is good, otherwise OpenSSL's word
std::string check_server(
    const Certificate& root, const Certificate& leaf, const std::string& ip, const std::string& host,
    std::int64_t at = now + 5, const Certificate* between = nullptr)
{
  const Owned<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  const auto root_native = native(root);
  const auto leaf_native = native(leaf);
  X509_STORE_add_cert(store.get(), root_native.get());
  const Owned<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  const auto between_native = between ? native(*between) : Native();
  auto* const others = sk_X509_new_null();
  if (between)
    sk_X509_push(others, between_native.get());
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> freed(
      others, [](auto* stack) { sk_X509_free(stack); });
  X509_STORE_CTX_init(context.get(), store.get(), leaf_native.get(), others);
  auto* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, at);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  if (!ip.empty())
    X509_VERIFY_PARAM_set1_ip_asc(parameters, ip.c_str());
  if (!host.empty())
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
  if (X509_verify_cert(context.get()) == 1)
    return "";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

struct Service
{
  KeyPair key;
  Certificate certificate;

  explicit Service(Curve curve)
      : key(KeyPair::generate(curve)),
        certificate(self_signed(key, service_request()).value())
  {
  }
};

TEST(Certificate, OfANodeIsAcceptedByAStrictTlsClient)
{
  for (const auto service_curve : {Curve::p256, Curve::p384, Curve::p521})
    for (const auto node_curve : {Curve::p256, Curve::p384, Curve::p521})
    {
      const Service service(service_curve);
      const auto node_key = KeyPair::generate(node_curve);
      const auto node = issue(node_key.public_key(), node_request(), service.key, service.certificate);
      ASSERT_TRUE(node) << node.error().describe();
      EXPECT_EQ(check_server(service.certificate, *node, "127.0.0.1", ""), "");
      EXPECT_EQ(check_server(service.certificate, *node, "2001:db8::1", ""), "");
      EXPECT_EQ(check_server(service.certificate, *node, "", "node.example.com"), "");
      EXPECT_EQ(check_server(service.certificate, *node, "127.0.0.2", ""), "IP address mismatch");
      EXPECT_EQ(check_server(service.certificate, *node, "", "other.example.com"), "hostname mismatch");
      EXPECT_EQ(check_server(service.certificate, *node, "127.0.0.1", "", now - 1), "certificate is not yet valid");
      EXPECT_EQ(
          check_server(service.certificate, *node, "127.0.0.1", "", now + 11 * 86'400), "certificate has expired");
      EXPECT_EQ(
          check_server(Service(service_curve).certificate, *node, "127.0.0.1", ""),
          "unable to get local issuer certificate");
    }
}

TEST(Certificate, OfTheServiceIsAcceptedAsAServerToo)
{
  const Service service(Curve::p256);
  EXPECT_EQ(check_server(service.certificate, service.certificate, "", ""), "");
}

// receipts.md §1.5: the service endorses the key of the service before it, which issued a node's certificate.
TEST(Certificate, OfANodeIsAcceptedThroughAnEndorsedServiceBefore)
{
  const Service before(Curve::p384);
  const Service service(Curve::p256);
  const auto endorsement = issue(before.key.public_key(), service_request(), service.key, service.certificate).value();
  const auto node =
      issue(KeyPair::generate(Curve::p256).public_key(), node_request(), before.key, before.certificate).value();
  EXPECT_TRUE(node.signed_by(endorsement));
  EXPECT_TRUE(endorsement.signed_by(service.certificate));

  const Owned<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  const auto root = native(service.certificate);
  const auto middle = native(endorsement);
  const auto leaf = native(node);
  EXPECT_EQ(X509_get_pathlen(root.get()), 1);
  EXPECT_EQ(X509_get_pathlen(middle.get()), 0) << "the service before may sign nodes, and nobody who signs others";
  X509_STORE_add_cert(store.get(), root.get());
  auto* const others = sk_X509_new_null();
  sk_X509_push(others, middle.get());
  const Owned<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), others);
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()), now + 5);
  EXPECT_EQ(X509_verify_cert(context.get()), 1)
      << X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  sk_X509_free(others);
}

TEST(Certificate, OfANodeIssuesNothing)
{
  const Service service(Curve::p256);
  const auto node_key = KeyPair::generate(Curve::p256);
  const auto node = issue(node_key.public_key(), node_request(), service.key, service.certificate).value();
  const auto below = issue(KeyPair::generate(Curve::p256).public_key(), node_request(), node_key, node).value();
  EXPECT_EQ(check_server(service.certificate, node, "127.0.0.1", ""), "");
  EXPECT_EQ(check_server(service.certificate, below, "127.0.0.1", "", now + 5, &node), "invalid CA certificate");
}

TEST(Certificate, SaysWhatWasAskedFor)
{
  const Service service(Curve::p256);
  const auto key = KeyPair::generate(Curve::p384).public_key();
  const auto made = issue(key, node_request(), service.key, service.certificate).value();
  EXPECT_EQ(made.subject(), "CN=CCF Node");
  EXPECT_EQ(made.public_key().der(), key.der());
  EXPECT_EQ(made.not_before(), now);
  EXPECT_EQ(made.not_after(), now + 10 * 86'400 - 1);
  EXPECT_FALSE(made.valid_at(now - 1));
  EXPECT_TRUE(made.valid_at(now));
  EXPECT_TRUE(made.valid_at(now + 10 * 86'400 - 1));
  EXPECT_FALSE(made.valid_at(now + 10 * 86'400));
  EXPECT_TRUE(made.signed_by(service.certificate));
  EXPECT_FALSE(made.signed_by(made));
  EXPECT_TRUE(service.certificate.signed_by(service.certificate));

  const auto x509 = native(made);
  EXPECT_EQ(X509_get_version(x509.get()), 2);
  EXPECT_EQ(X509_check_ca(x509.get()), 0);
  EXPECT_EQ(X509_get_key_usage(x509.get()), static_cast<std::uint32_t>(KU_DIGITAL_SIGNATURE));
  EXPECT_NE(X509_get0_subject_key_id(x509.get()), nullptr);
  const auto root = native(service.certificate);
  EXPECT_EQ(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x509.get()), X509_get0_subject_key_id(root.get())), 0);
  EXPECT_EQ(X509_check_ca(root.get()), 1);
  EXPECT_EQ(X509_get_key_usage(root.get()), static_cast<std::uint32_t>(KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN));
  EXPECT_EQ(X509_get_pathlen(root.get()), 1);
}

TEST(Certificate, HasARandomPositiveSerial)
{
  const auto key = KeyPair::generate(Curve::p256);
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i)
  {
    const auto x509 = native(self_signed(key, service_request()).value());
    const auto* const serial = X509_get0_serialNumber(x509.get());
    EXPECT_EQ(ASN1_STRING_type(serial), V_ASN1_INTEGER) << "negative";
    EXPECT_EQ(ASN1_STRING_length(serial), 16);
    seen.insert(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)), 16));
  }
  EXPECT_EQ(seen.size(), 50U);
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
TEST(Certificate, WritesTimesInTheFormOfTheirYear)
{
  const auto key = KeyPair::generate(Curve::p256);
  constexpr std::int64_t last_of_2049 = 2'524'607'999;
  const auto types = [&](std::int64_t from)
  {
    auto request = service_request();
    request.valid_from = from;
    request.validity_days = 1;
    const auto made = self_signed(key, request).value();
    EXPECT_EQ(made.not_before(), from);
    EXPECT_EQ(made.not_after(), from + 86'399);
    const auto x509 = native(made);
    return std::pair(
        ASN1_STRING_type(X509_get0_notBefore(x509.get())), ASN1_STRING_type(X509_get0_notAfter(x509.get())));
  };
  EXPECT_EQ(types(0), std::pair(V_ASN1_UTCTIME, V_ASN1_UTCTIME));
  EXPECT_EQ(types(last_of_2049 - 86'399), std::pair(V_ASN1_UTCTIME, V_ASN1_UTCTIME));
  EXPECT_EQ(types(last_of_2049 - 86'398), std::pair(V_ASN1_UTCTIME, V_ASN1_GENERALIZEDTIME));
  EXPECT_EQ(types(last_of_2049 + 1), std::pair(V_ASN1_GENERALIZEDTIME, V_ASN1_GENERALIZEDTIME));
}

TEST(Certificate, SubjectSurvivesWithItsPartsInOrder)
{
  const auto key = KeyPair::generate(Curve::p256);
  const auto subject_of = [&](const std::string& subject)
  {
    auto request = service_request();
    request.subject = subject;
    const auto made = self_signed(key, request);
    return made ? made->subject() : made.error().message;
  };
  for (const auto* subject :
       {"CN=name", "CN=name,O=organisation", "O=Bank\\, Inc.,C=CH,CN=x", "CN=Z\xc3\xbcrich", "CN=a\\+b"})
    EXPECT_EQ(subject_of(subject), subject);
  EXPECT_EQ(subject_of("CN=name, O=organisation"), "CN=name,O=organisation");
}

TEST(Certificate, IsNotMadeFromAWrongRequest)
{
  const auto key = KeyPair::generate(Curve::p256);
  const auto refused = [&](auto change)
  {
    auto request = node_request();
    change(request);
    const auto made = self_signed(key, request);
    return !made && made.error().code == ErrorCode::invalid;
  };
  ASSERT_FALSE(refused([](CertificateRequest&) {}));
  const std::string too_long = "CN=" + std::string(65, 'x');
  for (const auto& subject :
       {std::string(""), std::string("name"), std::string("CN="), std::string("=x"), std::string("CN=a,"),
        std::string("CN=a,,O=b"), std::string("XX=a"), std::string("CN=a\\"), std::string("C=CHE"),
        std::string("CN=a\0b", 6), std::string("CN\0=b", 5), std::string("CN=\xff\xfe"), too_long})
    EXPECT_TRUE(refused([&](CertificateRequest& r) { r.subject = subject; })) << subject;
  for (const auto& name :
       {std::string(""), std::string("127.0.0.1"), std::string("iPAddress:"), std::string("iPAddress:1.2.3"),
        std::string("iPAddress:node"), std::string("dNSName:"), std::string("dNSName:a b"),
        std::string("dNSName:a,DNS:b"), std::string("dNSName:a\0.b", 13), std::string("URI:x"),
        std::string("iPAddress:127.0.0.1\0x", 21), "dNSName:" + std::string(254, 'a')})
    EXPECT_TRUE(refused([&](CertificateRequest& r) { r.subject_alt_names = {name}; })) << name;
  EXPECT_TRUE(refused([](CertificateRequest& r) { r.validity_days = 0; }));
  EXPECT_TRUE(refused([](CertificateRequest& r) { r.valid_from = -1; }));
  EXPECT_TRUE(refused([](CertificateRequest& r) { r.valid_from = 253'402'300'799; }));
  EXPECT_TRUE(refused([](CertificateRequest& r) { r.validity_days = 4'294'967'295; }));

  const Service service(Curve::p256);
  EXPECT_FALSE(issue(key.public_key(), node_request(), key, service.certificate))
      << "key and issuer do not belong together";
}

TEST_F(ForeignSignatures, AreMadeUnderCertificatesThatVerify)
{
  const auto service = Certificate::from_pem(service_cert).value();
  const auto node = Certificate::from_pem(signatures[0].node_cert).value();
  EXPECT_TRUE(service.is_ca());
  EXPECT_FALSE(node.is_ca());
  EXPECT_EQ(service.subject(), "CN=CCF Network");
  EXPECT_EQ(service.not_before(), 1'736'175'713);
  EXPECT_EQ(service.not_after(), 1'736'262'112);
  EXPECT_EQ(service.public_key().id(), "1cbe4a725ce9f337e21a9f34680e26289e72f160a4bcd902a89c376a3c9de422");
  EXPECT_EQ(service.pem(), service_cert);
  EXPECT_TRUE(node.signed_by(service));
  EXPECT_FALSE(node.signed_by(node));
  EXPECT_EQ(service.id(), base::to_hex(base::as_view(sha256(service.der()))));
}

TEST(Certificate, IsNotReadFromAnythingElse)
{
  const auto pem = self_signed(KeyPair::generate(Curve::p384), service_request()).value().pem();
  const auto der = Certificate::from_pem(pem).value().der();
  const auto refused = [](const Result<Certificate>& read) { return !read && read.error().code == ErrorCode::invalid; };
  EXPECT_TRUE(refused(Certificate::from_pem("")));
  EXPECT_TRUE(refused(Certificate::from_pem(pem + pem)));
  EXPECT_TRUE(refused(Certificate::from_pem(pem.substr(0, pem.size() / 2))));
  EXPECT_TRUE(refused(Certificate::from_pem(std::string(1'000'000, '-'))));
  EXPECT_TRUE(refused(Certificate::from_pem(KeyPair::generate(Curve::p256).private_pem())));
  EXPECT_TRUE(refused(Certificate::from_der("")));
  EXPECT_TRUE(refused(Certificate::from_der(der + '\0')));
  EXPECT_TRUE(refused(Certificate::from_der(std::string(100'000, '\x30'))));
  for (std::size_t size = 0; size < der.size(); ++size)
    ASSERT_TRUE(refused(Certificate::from_der(der.substr(0, size)))) << size;
  EXPECT_TRUE(Certificate::from_pem("a comment before\n" + pem + "and after\n"));
}

TEST(Certificate, WithAnyByteChangedIsRefusedOrNoLongerSigned)
{
  const auto key = KeyPair::generate(Curve::p384);
  const auto service = self_signed(key, service_request()).value();
  const auto node = issue(KeyPair::generate(Curve::p384).public_key(), node_request(), key, service).value();
  const auto der = node.der();
  EXPECT_TRUE(service.is_ca());
  EXPECT_FALSE(node.is_ca());
  for (std::size_t i = 0; i < der.size(); ++i)
    for (const int change : {0x01, 0x80})
    {
      auto tampered = der;
      tampered[i] = static_cast<char>(tampered[i] ^ change);
      const auto read = Certificate::from_der(tampered);
      EXPECT_TRUE(!read || !read->signed_by(service)) << "byte " << i;
    }
}

TEST(Certificate, MayBeUsedFromSeveralThreads)
{
  const auto key = KeyPair::generate(Curve::p384);
  const auto service = self_signed(key, service_request()).value();
  const auto node = issue(KeyPair::generate(Curve::p384).public_key(), node_request(), key, service).value();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&]
        {
          for (int n = 0; n < 10; ++n)
          {
            const auto copy = node;
            ASSERT_TRUE(copy.signed_by(service));
            ASSERT_EQ(copy.public_key().id(), node.public_key().id());
            ASSERT_EQ(node.subject(), "CN=CCF Node");
          }
        });
  for (auto& thread : threads)
    thread.join();
}
}
}
