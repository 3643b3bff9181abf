#include "crypto/certificate.h"
#include "crypto/cose.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace concordat;

/// Bytes that were not made with the service key never verify, as a COSE message or as a certificate.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (crypto::cose_verify_root(bytes, key.public_key(), Digest{}))
    std::abort();
  if (const auto certificate = crypto::Certificate::from_der(bytes))
    (void)certificate->subject();
  if (const auto certificate = crypto::Certificate::from_pem(bytes))
    (void)certificate->id();
  return 0;
}
