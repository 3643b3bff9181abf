#include "consensus/view_history.h"

#include "base/check.h"

#include <algorithm>

namespace concordat::consensus
{
std::string_view to_string(TxStatus status)
{
  switch (status)
  {
  case TxStatus::pending:
    return "Pending";
  case TxStatus::committed:
    return "Committed";
  case TxStatus::invalid:
    return "Invalid";
  case TxStatus::unknown:
    break;
  }
  return "Unknown";
}

void ViewHistory::begin(View view, Seqno first)
{
  CHECK(view > starts_.size(), "a view begins once, after all earlier ones");
  CHECK(starts_.empty() || starts_.back() <= first, "a view begins where its predecessor ends");
  starts_.resize(static_cast<std::size_t>(view), first);
}

void ViewHistory::truncate(Seqno last)
{
  while (!starts_.empty() && starts_.back() > last)
    starts_.pop_back();
}

View ViewHistory::view_of(Seqno seqno) const
{
  return static_cast<View>(std::upper_bound(starts_.begin(), starts_.end(), seqno) - starts_.begin());
}

TxStatus status_of(TxId id, View local, TxId committed)
{
  if (id.seqno <= committed.seqno)
    return local == id.view ? TxStatus::committed : TxStatus::invalid;
  if (local == id.view)
    return TxStatus::pending;
  return committed.view > id.view ? TxStatus::invalid : TxStatus::unknown;
}
}
