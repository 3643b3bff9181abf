#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/oaep.h"
#include "ledger/secret.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// Holds, under one key, the ledger's newest secret for each node that is to have it (ledger-format.md §10.2).
inline constexpr std::string_view wrapped_secrets_table = "public:ccf.internal.encrypted_ledger_secrets";

/// A node that takes the ledger's secrets out of the ledger, with the key that they are wrapped for.
struct SecretReceiver
{
  std::string node_id;
  crypto::DecryptionKey key;
};

/// What the table holds of a secret that is in force from `first` on.
/// @param nodes  the encryption key of each that is to have it, by node id
/// @return Error::invalid for a key that nothing can be wrapped for
Result<std::string>
wrap_secret(const LedgerSecret& secret, Seqno first, const std::map<std::string, crypto::PublicKey>& nodes);

/// Takes the secret out again. Nothing says that it is the right one but what it opens: anybody can wrap anything.
/// @param value  any bytes, 16 MiB at most
/// @return nothing when there is none from `first` on for this node; Error::corrupt when there is, and it cannot be
///         unwrapped, or the value has no such form
Result<std::optional<LedgerSecret>> unwrap_secret(std::string_view value, Seqno first, const SecretReceiver& receiver);
}
