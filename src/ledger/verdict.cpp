#include "ledger/verdict.h"

#include <algorithm>

namespace concordat::ledger
{
void VerdictBuilder::transaction(TxId txid)
{
  if (views_.empty() || views_.back().view != txid.view)
    views_.push_back(txid);
}

std::string VerdictBuilder::signature(const CheckedSignature& checked, const ServiceTables& tables)
{
  const auto& service = *tables.service();
  const auto key = service.public_key().der();
  // The tree in a signature transaction is not covered by its own signature: it speaks once a later one covers it.
  const auto said_before = std::exchange(said_committed_, std::max(said_committed_, checked.tree_begins));
  if (checked.by_service)
    newest_cose_key_ = key;
  else if (!checked.by_endorsed)
    return "a node signed it whose certificate the service did not issue";
  else if (newest_cose_key_ == key)
    return "the service signed earlier ones itself, and not this one";

  if (given_ && given_->public_key().der() != key)
  {
    if (!signed_by_another_)
      signed_by_another_ = checked.txid;
    return {};
  }
  signed_by_another_.reset();
  Verdict verdict{
      given_.value_or(service), given_.has_value(), checked.by_service, checked.txid, checked.root, std::nullopt,
      tables.status(),          tables.services()};
  if (said_before > 0)
    verdict.committed_up_to = txid_of(said_before);
  verdict_ = std::move(verdict);
  return {};
}

TxId VerdictBuilder::txid_of(Seqno seqno) const
{
  const auto next = std::ranges::upper_bound(views_, seqno, {}, &TxId::seqno);
  return next == views_.begin() ? TxId{0, seqno} : TxId{std::prev(next)->view, seqno};
}
}
