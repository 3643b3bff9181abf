#pragma once

#include "crypto/keys.h"

#include <string>
#include <string_view>
#include <vector>

namespace concordat::crypto
{
/// What somebody asks to have certified (PKCS#10, RFC 2986): that a key is theirs, and the names that they go by.
struct SigningRequest
{
  PublicKey key{nullptr};
  std::string subject;                        ///< as `CertificateRequest` takes it
  std::vector<std::string> subject_alt_names; ///< as `CertificateRequest` takes them

  /// Any bytes are safe.
  /// @return Error::invalid unless it is one PEM block, signed by its own EC key, with names that can be certified
  static Result<SigningRequest> from_pem(std::string_view pem);
};

/// @return PEM; Error::invalid when the names are none
Result<std::string>
make_signing_request(const KeyPair& key, std::string_view subject, const std::vector<std::string>& subject_alt_names);
}
