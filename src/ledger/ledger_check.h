#pragma once

#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/service_tables.h"
#include "ledger/signature.h"
#include "ledger/verdict.h"
#include "ledger/verifier.h"

#include <functional>
#include <optional>
#include <string>

namespace concordat::ledger
{

/// The findings of one verification. An old or hostile ledger could give one for each entry, so there is a bound.
class Findings
{
public:
  Findings(VerifyReport& report, bool strict) : report_(report), strict_(strict) {}

  void error(const std::string& place, std::string text);
  void note(const std::string& place, std::string text);
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
/// A signature transaction without a fault goes into the verdict. Used by one thread.
class LedgerCheck
{
public:
  LedgerCheck(
      VerifyReport& report, Findings& findings, std::optional<crypto::Certificate> given,
      const std::function<void(const ShownTransaction&)>& on_transaction)
      : report_(report),
        findings_(findings),
        on_transaction_(on_transaction),
        verdict_(std::move(given))
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
  /// Of the tree over all transactions so far.
  Digest root() const
  {
    return tree_.root();
  }
  /// The service that the newest transactions name.
  const std::optional<crypto::Certificate>& service() const
  {
    return tables_.service();
  }
  const VerdictBuilder& verdict() const
  {
    return verdict_;
  }

private:
  struct Previous
  {
    TxId txid;
    std::uint8_t flags;
    bool signature;
  };

  Result<void> check(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk);
  Result<void> check_sequence(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk);
  Result<void> check_names(const kv::WriteSet& writes);
  Result<void> check_signature(const Entry& entry, const kv::WriteSet& writes);
  Result<bool> check_node(const SignatureRecord& record, const crypto::Certificate& service);
  void show(const Entry& entry, const kv::WriteSet& writes);

  VerifyReport& report_;
  Findings& findings_;
  const std::function<void(const ShownTransaction&)>& on_transaction_;
  MerkleTree tree_;
  ServiceTables tables_;
  VerdictBuilder verdict_;
  std::optional<Previous> previous_;
};
}
