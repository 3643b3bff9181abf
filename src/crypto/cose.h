#pragma once

#include "crypto/keys.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::crypto
{
/// The longest issuer and subject, in bytes; a configuration with a longer one must be refused.
inline constexpr std::size_t root_claim_limit = 4096;

/// What the service states when it signs a Merkle root (ledger-format.md §6.3).
struct RootClaims
{
  std::int64_t issued_at = 0; ///< seconds since 1970
  std::string issuer;         ///< UTF-8, up to `root_claim_limit` bytes
  std::string subject;        ///< the same
  TxId txid;                  ///< of the signature transaction
};

/// A COSE_Sign1 (CBOR tag 18) with detached payload: the root. The key must be P-256 or P-384.
std::string cose_sign_root(const KeyPair& service_key, const Digest& root, const RootClaims& claims);

/// Checks form, labels, kid and signature; Error::corrupt says which.
/// @param message any bytes
Result<RootClaims> cose_verify_root(std::string_view message, const PublicKey& service_key, const Digest& root);
}
