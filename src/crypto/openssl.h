#pragma once

#include "concordat/error.h"
#include "crypto/keys.h"

#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string>
#include <string_view>

/// What the files of this module share about OpenSSL. Not for other modules.
namespace concordat::crypto
{
/// Frees with a function of OpenSSL: `Owned<BIO, BIO_free>`.
template <auto release> struct Release
{
  template <typename T> void operator()(T* object) const
  {
    release(object);
  }
};
template <typename T, auto release> using Owned = std::unique_ptr<T, Release<release>>;

/// A key that shares its count of references with nobody else's pointer.
inline std::shared_ptr<EVP_PKEY> own(EVP_PKEY* key)
{
  return {key, EVP_PKEY_free};
}

/// What is true of a curve everywhere it is used.
struct CurveFacts
{
  const char* group;            ///< OpenSSL's name
  const char* hash;             ///< that its signatures are made with
  std::size_t size;             ///< bytes of a coordinate, and of r and s
  int cose_algorithm;           ///< RFC 9053 §2.1
  std::string_view spki_prefix; ///< DER of SubjectPublicKeyInfo up to the two coordinates of the point
};
const CurveFacts& facts(Curve curve);

/// The hash that signatures of the curve are made with, fetched once.
const EVP_MD* hash_of(Curve curve);

/// Takes the errors that OpenSSL notes down while it lives off the thread's queue again, also those of calls that
/// succeeded on a second way. Whatever stood there before stays.
class ErrorScope
{
public:
  ErrorScope()
  {
    ERR_set_mark();
  }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
  ~ErrorScope()
  {
    ERR_pop_to_mark();
  }
};

/// OpenSSL's own word on what failed last, for the end of an error message.
std::string openssl_reason();

/// The content of the only PEM block in `text`, which must carry this name and no headers.
/// @param what  how the message names the thing: "certificate"
Result<std::string> pem_content(std::string_view text, std::string_view name, std::string_view what);

/// A private key of any kind in PEM, not encrypted; whether its parts belong together is not looked at. The message of
/// an error is the reason alone.
Result<std::shared_ptr<EVP_PKEY>> private_key_from_pem(std::string_view pem);

/// PEM text around DER, with lines of 64 characters and a final line feed.
std::string to_pem(std::string_view der, const char* name);
}
