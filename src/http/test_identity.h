#pragma once

#include "base/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace concordat::http::test
{
/// A key and its certificate, made on the spot for tests and benchmarks.
struct TestIdentity
{
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> certificate;
  std::string certificate_pem;
  std::string key_pem;
  std::string certificate_der;
};

struct TestIdentityOptions
{
  std::string subject = "test";
  std::string curve = "P-256";
  std::string alternative_names = "IP:127.0.0.1,DNS:localhost"; ///< in OpenSSL's configuration syntax; empty for none
  long valid_from = -3600;                                      ///< seconds from now
  long valid_to = 24 * 3600;
  const TestIdentity* issuer = nullptr; ///< null: signed by itself
};

inline std::string bio_text(BIO* bio)
{
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

inline void add_extension(X509* certificate, int id, const std::string& value)
{
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
  CHECK(extension != nullptr, "tests give extensions that exist");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

inline TestIdentity make_identity(const TestIdentityOptions& options = {})
{
  TestIdentity made;
  made.key = {EVP_EC_gen(options.curve.c_str()), EVP_PKEY_free};
  made.certificate = {X509_new(), X509_free};
  X509* const certificate = made.certificate.get();
  CHECK(made.key && certificate, "tests name curves that exist");

  static long serial = 1;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), options.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), options.valid_to);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(options.subject.c_str()), -1, -1, 0);
  const bool self_signed = options.issuer == nullptr;
  X509_set_issuer_name(
      certificate, X509_get_subject_name(self_signed ? certificate : options.issuer->certificate.get()));
  add_extension(certificate, NID_basic_constraints, self_signed ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!options.alternative_names.empty())
    add_extension(certificate, NID_subject_alt_name, options.alternative_names);
  X509_sign(certificate, self_signed ? made.key.get() : options.issuer->key.get(), EVP_sha256());

  const std::shared_ptr<BIO> pem(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(pem.get(), certificate);
  made.certificate_pem = bio_text(pem.get());
  const std::shared_ptr<BIO> key(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(key.get(), made.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  made.key_pem = bio_text(key.get());
  const std::shared_ptr<BIO> der(BIO_new(BIO_s_mem()), BIO_free);
  i2d_X509_bio(der.get(), certificate);
  made.certificate_der = bio_text(der.get());
  return made;
}
}
