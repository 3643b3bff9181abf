#pragma once

#include "concordat/error.h"
#include "crypto/certificate.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// A proof that a transaction is in the ledger that a service signed (receipts.md §1).
struct Receipt
{
  std::string signature; ///< DER ECDSA of the node over the root
  std::string node_id;
  std::string cert; ///< PEM of the signing node; empty in very old ledgers
  Proof proof;
  struct Components
  {
    Digest write_set_digest;
    std::string commit_evidence;
    std::optional<Digest> claims_digest;
  };
  std::optional<Components> components; ///< absent for a signature transaction, and before commit evidence existed
  std::optional<Digest> leaf;           ///< then this: the root that it signs, or the leaf
  /// COSE_Sign1 of the service over that root, which names the signature transaction: our addition to the form, without
  /// which a receipt of one would only show that a node signed 32 bytes.
  std::optional<std::string> cose_signature;
  /// PEM; from the issuer of `cert` to one that the service certificate issued. Empty if that issued `cert` itself.
  std::vector<std::string> service_endorsements;

  /// The v1 form of receipts.md §1.2, keys in alphabetical order.
  std::string to_json() const;
  /// Takes the v1 form, and the v2 form of §1.4 as far as it can be written.
  /// @param text any bytes; Error::invalid naming the field
  static Result<Receipt> from_json(std::string_view text);

  /// The transaction that the commit evidence names, proven or not; nothing for a signature transaction.
  std::optional<TxId> txid() const;
  /// The root that the leaf and the proof lead to.
  Digest root() const;
  /// Steps 1–5 of receipts.md §1.3, validity times aside, and what keeps anything else that the service or a node signs
  /// from passing as a receipt (docs/audit.md).
  /// @return the transaction that is proven; Error::corrupt says which step failed
  Result<TxId> verify(const crypto::Certificate& service) const;

private:
  Result<TxId> verify_leaf(const crypto::Certificate& issuer) const;
};

/// Makes the receipt for the transaction `entry`, covered by the signature transaction `signature` (the first one at
/// or after it; the same entry if it is a signature itself).
/// @return Error::corrupt when the two do not fit together
Result<Receipt> make_receipt(const Entry& entry, const Entry& signature, const LedgerSecret& secret);
}
