#pragma once

#include "crypto/certificate.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/verifier.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace concordat::ledger
{
struct SignatureTransaction;

/// The findings of one verification. An old or hostile ledger could give one for each entry, so there is a bound.
class Findings
{
public:
  Findings(VerifyReport& report, bool strict) : report_(report), strict_(strict) {}

  void error(const std::string& place, std::string text);
  /// What a reader must accept but our writer does not leave: an error if the caller asked for strictness.
  void oddity(const std::string& place, std::string text);

private:
  void add(std::string place, std::string text, bool is_note);

  static constexpr std::size_t max_each = 10000;

  VerifyReport& report_;
  bool strict_;
  std::size_t errors_ = 0;
  std::size_t notes_ = 0;
};

/// Checks transactions one after the other and keeps what later ones are judged by: the tree, the nodes, the service.
/// Used by one thread.
class LedgerCheck
{
public:
  LedgerCheck(
      VerifyReport& report, Findings& findings, const std::function<void(const ShownTransaction&)>& on_transaction)
      : report_(report),
        findings_(findings),
        on_transaction_(on_transaction)
  {
  }

  /// The seqno that the next transaction must have.
  Seqno next() const
  {
    return tree_.size();
  }
  void add(const Entry& entry, bool first_in_chunk);
  bool last_was_signature() const
  {
    return previous_ && previous_->signature;
  }
  /// PEM, from the newest service.info; empty if there was none.
  const std::string& service_certificate() const
  {
    return service_cert_;
  }

private:
  struct Previous
  {
    View view;
    std::uint8_t flags;
    bool signature;
  };
  struct Node
  {
    std::string status;
    std::string cert; ///< only in records of 1.x
  };

  Result<void> check(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk);
  Result<void> check_sequence(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk);
  Result<void> check_names(const kv::WriteSet& writes);
  Result<void> check_nodes(const kv::WriteSet& writes);
  Result<void> check_service(const kv::WriteSet& writes);
  Result<void> check_signature(const Entry& entry, const kv::WriteSet& writes);
  Result<void> check_signer(const SignatureTransaction& read, const crypto::Certificate& service);
  void remember(const kv::WriteSet& writes);
  void show(const Entry& entry, const kv::WriteSet& writes);

  VerifyReport& report_;
  Findings& findings_;
  const std::function<void(const ShownTransaction&)>& on_transaction_;
  MerkleTree tree_;
  std::optional<Previous> previous_;
  std::map<std::string, Node, std::less<>> nodes_;             ///< by id, from nodes.info
  std::map<std::string, std::string, std::less<>> node_certs_; ///< by id, PEM, from nodes.endorsed_certificates
  std::string service_status_;
  std::string service_cert_;
};
}
