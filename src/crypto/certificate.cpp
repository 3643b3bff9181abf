#include "crypto/certificate.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"

#include <ctime>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace concordat::crypto
{
namespace
{
constexpr std::size_t size_limit = std::size_t{64} << 10;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "not an acceptable certificate: " + why);
}

Result<std::int64_t> seconds_of(const ASN1_TIME* time)
{
  std::tm parts{};
  if (ASN1_TIME_check(time) != 1 || ASN1_TIME_to_tm(time, &parts) != 1)
    return wrong("a validity time is malformed");
  return timegm(&parts);
}

std::string encode(X509* certificate)
{
  unsigned char* raw = nullptr;
  const int size = i2d_X509(certificate, &raw);
  if (size <= 0)
    return {};
  std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return der;
}
}

Result<Certificate> Certificate::from_pem(std::string_view pem)
{
  const auto der = pem_content(pem, "CERTIFICATE", "certificate");
  if (!der)
    return std::unexpected(der.error());
  return from_der(*der);
}

Result<Certificate> Certificate::from_der(std::string_view der)
{
  const ErrorScope errors;
  if (der.size() > size_limit)
    return wrong("larger than " + std::to_string(size_limit) + " bytes");
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  std::shared_ptr<X509> native(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  if (!native)
    return wrong(openssl_reason());
  // Another encoding of the same certificate would be another id for the same person.
  if (encode(native.get()) != der)
    return wrong("not in DER, or followed by something else");

  Certificate result;
  auto key = std::shared_ptr<EVP_PKEY>(X509_get_pubkey(native.get()), EVP_PKEY_free);
  if (!key)
    return wrong("its public key is not usable: " + openssl_reason());
  result.public_key_ = PublicKey(std::move(key));
  const auto not_before = seconds_of(X509_get0_notBefore(native.get()));
  const auto not_after = seconds_of(X509_get0_notAfter(native.get()));
  if (!not_before || !not_after)
    return std::unexpected(not_before ? not_after.error() : not_before.error());
  result.not_before_ = *not_before;
  result.not_after_ = *not_after;
  result.native_ = std::move(native);
  result.der_ = der;
  return result;
}

std::string Certificate::pem() const
{
  return to_pem(der_, "CERTIFICATE");
}

std::string Certificate::id() const
{
  return base::to_hex(base::as_view(sha256(der_)));
}

std::string Certificate::subject() const
{
  const ErrorScope errors;
  const Owned<BIO, BIO_free> output(BIO_new(BIO_s_mem()));
  CHECK(output, "memory for a name is there");
  // The parts in the order of the certificate, as CertificateRequest takes them; bytes that could fake another part
  // or a line are escaped.
  const unsigned long flags = (ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) | XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_FN_SN;
  if (X509_NAME_print_ex(output.get(), X509_get_subject_name(native_.get()), 0, flags) < 0)
    return {};
  char* text = nullptr;
  const auto size = BIO_get_mem_data(output.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

bool Certificate::is_ca() const
{
  const ErrorScope errors;
  return X509_check_ca(native_.get()) != 0;
}

bool Certificate::signed_by(const Certificate& issuer) const
{
  return signed_by(issuer.public_key_);
}

bool Certificate::signed_by(const PublicKey& issuer) const
{
  const ErrorScope errors;
  return X509_verify(native_.get(), issuer.native()) == 1;
}
}
