#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "kv/write_set.h"
#include "ledger/entry.h"

#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// The value of the signatures table (ledger-format.md §6.3).
struct SignatureRecord
{
  std::string node;                     ///< id of the node that signed
  std::string cert;                     ///< its PEM certificate; empty in ledgers of old releases
  Digest root{};                        ///< of the tree over leaves 0 … seqno − 1
  std::string signature;                ///< DER ECDSA over the root
  TxId txid;                            ///< of the signature transaction
  bool deprecated_fields_unused = true; ///< commit_seqno, commit_view and hashed_nonce are zeros

  static Result<SignatureRecord> from_json(std::string_view text);
};

/// What a signature transaction holds: a node's signature, the service's, or both.
struct SignatureTransaction
{
  std::optional<SignatureRecord> record; ///< absent where only the service signs
  std::string tree;                      ///< a serialised Merkle tree
  std::optional<std::string> cose;       ///< a COSE_Sign1 over the root; absent in ledgers of old releases
  bool has_unknown_signatures = false;   ///< of kinds that are not read here (post-quantum ones)
};

inline bool is_signature(const kv::WriteSet& writes)
{
  return writes.contains(signatures_table) || writes.contains(cose_signatures_table);
}

/// Reads the tables of a signature transaction: the tree and one or both kinds of signature, each table with its one
/// key, and nothing else. Whether a signature is right is not looked at.
Result<SignatureTransaction> read_signature(const kv::WriteSet& writes);
}
