#pragma once

#include "concordat/error.h"
#include "crypto/keys.h"

#include <memory>
#include <string>
#include <string_view>

/// RSA-OAEP with SHA-256, for its mask too, and no label (RFC 8017 §7.1): how a secret is handed to the owner of a key
/// in a place that everybody reads (ledger-format.md §10.2, §10.4).
namespace concordat::crypto
{
/// Encrypts a secret, to other bytes each time. It is not authenticated: anybody can do it.
/// @return Error::invalid for a key that is not RSA, or too small for the secret: its bytes less 66
Result<std::string> wrap(const PublicKey& key, std::string_view secret);

/// An RSA key that unwraps. Cheap to copy; any thread may call.
class DecryptionKey
{
public:
  /// @param private_pem  an RSA key of 2048 to 16384 bits, not encrypted: PKCS#8 or PKCS#1
  static Result<DecryptionKey> from_pem(std::string_view private_pem);

  PublicKey public_key() const;
  /// @return Error::corrupt for what was not wrapped for this key; it does not say more, as that would help whoever
  ///         tries
  Result<std::string> unwrap(std::string_view wrapped) const;

private:
  explicit DecryptionKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};
}
