#include "consensus/feed.h"

#include "base/check.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

#include <utility>

namespace concordat::consensus
{
Feed::Feed(ReadEntry read, const ledger::LedgerSecrets& secrets, TxId committed)
    : read_(std::move(read)),
      secrets_(secrets),
      committed_(committed)
{
}

Feed::Reader Feed::from(Seqno first) const
{
  CHECK(first >= 1, "seqnos are counted up from 1");
  return {*this, first};
}

Result<std::optional<CommittedTransaction>> Feed::Reader::next()
{
  if (next_ > feed_->committed().seqno)
    return std::nullopt;
  const auto at = [&](const Error& error) { return fail("ledger entry " + std::to_string(next_), error); };
  const auto bytes = feed_->read_(next_);
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto entry = ledger::parse_entry(*bytes);
  if (!entry)
    return at(entry.error());
  const auto private_maps = entry->open(feed_->secrets_.at(next_));
  if (!private_maps)
    return at(private_maps.error());
  CommittedTransaction out{entry->txid, entry->claims, {}, false};
  if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, out.writes); !decoded)
    return at(decoded.error());
  if (auto decoded = kv::decode(*private_maps, kv::Domain::private_maps, out.writes); !decoded)
    return at(decoded.error());
  out.is_signature = ledger::is_signature(out.writes);
  ++next_;
  return out;
}

Feed::Subscription::Subscription(Subscription&& other) noexcept
    : feed_(std::exchange(other.feed_, nullptr)),
      number_(other.number_)
{
}

Feed::Subscription::~Subscription()
{
  if (!feed_)
    return;
  const base::LockGuard lock(feed_->mutex_);
  feed_->wakes_.erase(number_);
}

Feed::Subscription Feed::subscribe(Wake wake)
{
  const base::LockGuard lock(mutex_);
  wakes_.emplace(++last_number_, std::move(wake));
  return {*this, last_number_};
}

void Feed::committed(TxId signature)
{
  // Under the lock, so that a subscription that has ended is not called; a wake does nothing that could wait.
  const base::LockGuard lock(mutex_);
  committed_ = signature;
  for (const auto& [number, wake] : wakes_)
    wake(signature);
}

TxId Feed::committed() const
{
  const base::LockGuard lock(mutex_);
  return committed_;
}
}
