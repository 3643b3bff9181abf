#pragma once

#include "concordat/transaction.h"
#include "crypto/certificate.h"
#include "ledger/service_tables.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat::ledger
{
/// What the signatures of one service prove of a ledger; nothing else in the ledger has a part in it. The rules are
/// those of docs/audit.md.
struct Verdict
{
  /// The service whose signatures these are: the certificate given, else the one that the ledger claims.
  crypto::Certificate service;
  bool service_was_given = false;
  bool service_signed_itself = false; ///< COSE; else nodes signed that it endorses, the older form

  TxId signed_up_to; ///< the newest signature transaction; every byte of the entries before it is signed
  Digest root{};     ///< what it signs
  /// The newest transaction that the service itself, in what is signed, said was committed; nothing if it said none.
  std::optional<TxId> committed_up_to;
  std::string service_status;
  std::vector<NamedService> services; ///< named in what is signed, the signing one included
};

/// A signature transaction all of whose signatures were checked against the service and the nodes of their time.
struct CheckedSignature
{
  TxId txid;
  Digest root;
  Seqno tree_begins;        ///< the last seqno that its writer knew to be committed, as the tree in it says
  bool by_service = false;  ///< the service's own COSE signature is among them
  bool by_endorsed = false; ///< the node's certificate is issued by the service
};

/// Builds the verdict along the ledger. Used by one thread.
class VerdictBuilder
{
public:
  /// @param given the identity whose signatures count; nothing lets those of the service named at each place count
  explicit VerdictBuilder(std::optional<crypto::Certificate> given) : given_(std::move(given)) {}

  void transaction(TxId txid);
  /// @param tables what the ledger said before this signature. @return why it does not count, empty if it does
  std::string signature(const CheckedSignature& checked, const ServiceTables& tables);

  const std::optional<Verdict>& verdict() const
  {
    return verdict_;
  }
  /// The first signature transaction, after the last of the given service, that another service signed.
  const std::optional<TxId>& signed_by_another() const
  {
    return signed_by_another_;
  }

private:
  TxId txid_of(Seqno seqno) const;

  std::optional<crypto::Certificate> given_;
  std::optional<Verdict> verdict_;
  std::optional<TxId> signed_by_another_;
  std::vector<TxId> views_;     ///< where each view begins
  std::string newest_cose_key_; ///< DER, of the service that signed itself last
  Seqno said_committed_ = 0;    ///< in signature transactions that a later signature has to cover first
};
}
