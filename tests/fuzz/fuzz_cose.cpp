#include "crypto/certificate.h"
#include "crypto/cose.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace concordat;

/// Bytes that were not made with the service key never verify, as a COSE message or as a certificate. What is read as a
/// certificate is the same one in each of its forms.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (crypto::cose_verify_root(bytes, key.public_key(), Digest{}))
    std::abort();
  static const auto service = crypto::self_signed(key, {"CN=service", {}, 0, 1, true}).value();
  for (const auto& certificate : {crypto::Certificate::from_der(bytes), crypto::Certificate::from_pem(bytes)})
  {
    if (!certificate)
      continue;
    if (certificate->signed_by(service))
      std::abort();
    (void)certificate->subject();
    const auto again = crypto::Certificate::from_pem(certificate->pem());
    if (!again || again->der() != certificate->der() || again->id() != certificate->id())
      std::abort();
  }
  return 0;
}
