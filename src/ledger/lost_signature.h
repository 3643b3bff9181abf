#pragma once

#include "base/files.h"
#include "crypto/certificate.h"

#include <cstdint>

namespace concordat::ledger
{
/// What stands in the bytes that follow the last entry that could be read.
enum class Remains
{
  nothing_signed,   ///< no signature of the service: what a kill tears was never acknowledged
  torn_signature,   ///< the beginning of the signature over exactly the entries read
  signature_beyond, ///< a signature over other entries than those read, or a whole one: signed bytes are damaged
};

/// Looks for signature transactions of a service in bytes that cannot be read as entries. Only a signature that
/// verifies counts: the bytes may be anybody's.
/// @param root of the tree over the entries that were read
Result<Remains> look_for_signature(
    const base::File& file, std::uint64_t from, std::uint64_t to, const crypto::Certificate& service,
    const Digest& root);
}
