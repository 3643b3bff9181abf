#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/certificate.h"
#include "kv/store.h"
#include "ledger/entry.h"

#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// A snapshot file (ledger-format.md §9): the state at one signature transaction, and the receipt of a later
/// transaction that carries its digest. Views point into the bytes it was read from.
struct SnapshotFile
{
  Entry entry;
  Seqno seqno = 0;          ///< of the signature transaction whose state it is
  Digest leaf{};            ///< of that transaction
  std::vector<Seqno> views; ///< where each view began, from the first on; 0 for one without transactions
  std::string_view public_maps;
  std::string_view receipt; ///< empty for a file that is not complete

  /// Any bytes: Error::corrupt says what is wrong. Nothing is proven by it.
  static Result<SnapshotFile> parse(std::string_view bytes);
  /// That the service signed a later transaction with the digest of this entry as its claims. Who wrote that
  /// transaction is not proven: applications may let their callers choose claims.
  /// @return the transaction that carries the digest; Error::corrupt says which step failed
  Result<TxId> verify(const crypto::Certificate& service) const;
  /// The state, both domains. Error::corrupt also if the secret is not the one that was in force at `seqno`.
  Result<kv::State> load(const LedgerSecret& secret) const;
  /// The view that `seqno` is of; 0 if no view had begun.
  View view() const;
};

/// Makes the entry of a snapshot: the same bytes for the same state, whoever makes them.
/// @param leaf   of the transaction that the state ends with
/// @param views  as SnapshotFile::views
std::string encode_snapshot(
    const kv::State& state, const Digest& leaf, const std::vector<Seqno>& views, const LedgerSecret& secret);
}
