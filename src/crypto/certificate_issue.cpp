#include "base/check.h"
#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/certificate_names.h"
#include "crypto/openssl.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <utility>

namespace concordat::crypto
{
namespace
{
/// 9999-12-31 23:59:59, the last second that RFC 5280 §4.1.2.5 can say.
constexpr std::int64_t last_second = 253'402'300'799;
constexpr std::int64_t seconds_a_day = 86'400;
/// Below the 20 octets of RFC 5280 §4.1.2.2, the first bit zero so that the number is positive.
constexpr int serial_bits = 127;

using Native = Owned<X509, X509_free>;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "cannot make a certificate: " + why);
}

void add(X509* certificate, int nid, void* value, bool critical)
{
  CHECK(
      X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1,
      "an extension that was built from its parts can be written");
}

/// RFC 5280 §4.2.1.9 and §4.2.1.3. A CA that the service issues (over the key of the service before it) signs nodes
/// only, so that no chain is longer than service, service before, node.
void add_constraints(X509* certificate, bool is_ca, bool is_self_signed)
{
  const Owned<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free> constraints(BASIC_CONSTRAINTS_new());
  const Owned<ASN1_BIT_STRING, ASN1_BIT_STRING_free> usage(ASN1_BIT_STRING_new());
  CHECK(constraints && usage, "memory for an extension is there");
  if (is_ca)
  {
    constraints->ca = 1;
    constraints->pathlen = ASN1_INTEGER_new();
    CHECK(
        constraints->pathlen != nullptr && ASN1_INTEGER_set(constraints->pathlen, is_self_signed ? 1 : 0) == 1,
        "memory for a number is there");
  }
  constexpr int digital_signature = 0;
  constexpr int key_cert_sign = 5;
  ASN1_BIT_STRING_set_bit(usage.get(), digital_signature, 1);
  if (is_ca)
    ASN1_BIT_STRING_set_bit(usage.get(), key_cert_sign, 1);
  add(certificate, NID_basic_constraints, constraints.get(), is_ca);
  add(certificate, NID_key_usage, usage.get(), true);
}

/// RFC 5280 §4.2.1.2, method 1: SHA-1 of the key's bits.
Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> key_identifier(const X509* certificate)
{
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> identifier(ASN1_OCTET_STRING_new());
  CHECK(
      identifier &&
          X509_pubkey_digest(certificate, EVP_sha1(), reinterpret_cast<unsigned char*>(digest.data()), &size) == 1 &&
          ASN1_OCTET_STRING_set(
              identifier.get(), reinterpret_cast<const unsigned char*>(digest.data()), static_cast<int>(size)) == 1,
      "the key of a certificate can be hashed");
  return identifier;
}

void add_key_identifiers(X509* certificate, X509* issuer)
{
  const auto subject_key = key_identifier(certificate);
  add(certificate, NID_subject_key_identifier, subject_key.get(), false);

  const Owned<AUTHORITY_KEYID, AUTHORITY_KEYID_free> authority(AUTHORITY_KEYID_new());
  CHECK(authority, "memory for an extension is there");
  // What the issuer calls itself counts, by whatever method it was made (RFC 5280 §4.2.1.1).
  const auto* const named = X509_get0_subject_key_id(issuer);
  authority->keyid = named != nullptr ? ASN1_OCTET_STRING_dup(named) : key_identifier(issuer).release();
  CHECK(authority->keyid != nullptr, "memory for an extension is there");
  add(certificate, NID_authority_key_identifier, authority.get(), false);
}

void set_serial(X509* certificate)
{
  const Owned<BIGNUM, BN_free> number(BN_new());
  CHECK(
      number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
          BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
      "without randomness no certificate is safe");
}

Result<void> set_validity(X509* certificate, const CertificateRequest& request)
{
  if (request.valid_from < 0 || request.valid_from > last_second)
    return wrong("valid_from " + std::to_string(request.valid_from) + " is not between the years 1970 and 9999");
  if (request.validity_days == 0)
    return wrong("validity_days must be at least 1");
  const auto not_after = request.valid_from + std::int64_t{request.validity_days} * seconds_a_day - 1;
  if (not_after > last_second)
    return wrong("it would be valid beyond the year 9999");
  // ASN1_TIME_set writes UTCTime up to 2049 and GeneralizedTime from 2050 on, as RFC 5280 §4.1.2.5 demands.
  CHECK(
      ASN1_TIME_set(X509_getm_notBefore(certificate), request.valid_from) != nullptr &&
          ASN1_TIME_set(X509_getm_notAfter(certificate), not_after) != nullptr,
      "a time between 1970 and 9999 can be written");
  return {};
}

/// @param issuer  null for a self-signed certificate
Result<Certificate>
make(const PublicKey& key, const CertificateRequest& request, const KeyPair& issuer_key, const Certificate* issuer)
{
  const ErrorScope errors;
  const auto curve = issuer_key.public_key().curve();
  if (!curve)
    return std::unexpected(curve.error());
  const auto subject = parse_subject(request.subject);
  if (!subject)
    return std::unexpected(subject.error());
  const auto alt_names = parse_alt_names(request.subject_alt_names);
  if (!alt_names)
    return std::unexpected(alt_names.error());

  const Native made(X509_new());
  constexpr long version_3 = 2;
  CHECK(made && X509_set_version(made.get(), version_3) == 1, "memory for a certificate is there");
  set_serial(made.get());
  if (const auto set = set_validity(made.get(), request); !set)
    return std::unexpected(set.error());

  Native parsed_issuer;
  if (issuer != nullptr)
  {
    const auto* at = reinterpret_cast<const unsigned char*>(issuer->der().data());
    parsed_issuer.reset(d2i_X509(nullptr, &at, static_cast<long>(issuer->der().size())));
    CHECK(parsed_issuer, "a Certificate holds bytes that were parsed before");
  }
  X509* const issuer_native = parsed_issuer ? parsed_issuer.get() : made.get();
  CHECK(
      X509_set_subject_name(made.get(), subject->get()) == 1 &&
          X509_set_issuer_name(made.get(), X509_get_subject_name(issuer_native)) == 1,
      "a name that was parsed can be copied");
  if (X509_set_pubkey(made.get(), key.native()) != 1)
    return wrong("its key cannot be written: " + openssl_reason());

  add_constraints(made.get(), request.is_ca, issuer == nullptr);
  add_key_identifiers(made.get(), issuer_native);
  if (!request.subject_alt_names.empty())
    add(made.get(), NID_subject_alt_name, alt_names->get(), false);

  CHECK(
      X509_sign(made.get(), issuer_key.public_key().native(), hash_of(*curve)) > 0,
      "an EC key pair signs with its curve's hash");
  unsigned char* raw = nullptr;
  const int size = i2d_X509(made.get(), &raw);
  CHECK(size > 0, "a complete certificate can be written");
  const std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return Certificate::from_der(der);
}
}

Result<Certificate> self_signed(const KeyPair& key, const CertificateRequest& request)
{
  return make(key.public_key(), request, key, nullptr);
}

Result<Certificate>
issue(const PublicKey& key, const CertificateRequest& request, const KeyPair& issuer_key, const Certificate& issuer)
{
  if (issuer.public_key().id() != issuer_key.public_key().id())
    return wrong("the issuer's certificate is not for the issuer's key");
  return make(key, request, issuer_key, &issuer);
}
}
