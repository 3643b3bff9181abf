#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "ledger/secrets.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// Holds, under one key, how the ledger's secrets follow each other (ledger-format.md §10.2).
inline constexpr std::string_view secret_history_table = "public:ccf.internal.historical_encrypted_ledger_secret";

/// What a ledger says when its secret changes: the secret before, sealed by the new one, so that whoever has the
/// newest opens all. Ours take effect from the entry on that carries them, so that not even that entry lies under the
/// old secret.
struct SecretRecord
{
  std::string sealed_previous;         ///< tag, IV and cipher text of the 32 bytes (§10.3); empty for a first secret
  Seqno previous_first = 0;            ///< the first seqno that lies under the secret before
  std::optional<Seqno> previous_write; ///< the entry that wrote to the table before
  std::optional<Seqno> next_first;     ///< the first under the new one; nothing: the entry after the one with this

  /// The record of the entry `first`, with which `secrets` change. @pre secrets.since(first) = first > 1
  static SecretRecord of_change(const LedgerSecrets& secrets, Seqno first, std::optional<Seqno> previous_write);
  /// The record of a service that opens with its first secret.
  static SecretRecord of_first();

  static Result<SecretRecord> from_json(std::string_view text);
  std::string to_json() const;

  /// Whether the entry `first` is where `secrets` change, and the record seals the one before by the new one.
  Result<void> check(const LedgerSecret& before, Seqno before_since, const LedgerSecret& now, Seqno first) const;
};
}
