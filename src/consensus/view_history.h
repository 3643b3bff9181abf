#pragma once

#include "concordat/transaction.h"

#include <string_view>
#include <vector>

namespace concordat::consensus
{
enum class TxStatus
{
  unknown,   ///< never seen here, yet
  pending,   ///< in the local ledger, not committed
  committed, ///< durable and agreed; final
  invalid,   ///< can never commit; final
};

/// `Unknown`, `Pending`, `Committed`, `Invalid`.
std::string_view to_string(TxStatus status);

/// Where each view begins in the ledger: element i is the first seqno of view i + 1 (ledger-format.md §6.5).
class ViewHistory
{
public:
  /// Records that `view` begins at `first`; views that were skipped begin there too.
  /// @pre view is greater than those before, first not below theirs
  void begin(View view, Seqno first);
  /// Forgets views that begin after `last`.
  void truncate(Seqno last);
  /// The view of a seqno that is in the ledger; 0 if it lies before the first view.
  View view_of(Seqno seqno) const;
  const std::vector<Seqno>& starts() const
  {
    return starts_;
  }
  View last() const
  {
    return starts_.size();
  }

private:
  std::vector<Seqno> starts_;
};

/// receipts.md §4.2. @param local the view that the local ledger has at id.seqno, 0 if it has none
TxStatus status_of(TxId id, View local, TxId committed);
}
