#include "ledger/secrets.h"

#include "base/check.h"
#include "crypto/hash.h"

#include <iterator>

namespace concordat::ledger
{
LedgerSecrets::LedgerSecrets(LedgerSecret first)
{
  add(1, std::move(first));
}

std::shared_ptr<LedgerSecrets> LedgerSecrets::from_raw(std::vector<std::pair<Seqno, std::string>> raw)
{
  std::shared_ptr<LedgerSecrets> secrets;
  Seqno last = 0;
  bool good = true;
  for (auto& [first, bytes] : raw)
  {
    good = good && bytes.size() == LedgerSecret::size && (last == 0 ? first == 1 : first > last);
    if (good && secrets)
      secrets->add(first, LedgerSecret(bytes));
    else if (good)
      secrets = std::make_shared<LedgerSecrets>(LedgerSecret(bytes));
    last = first;
    crypto::wipe(bytes);
  }
  return good ? secrets : nullptr;
}

const LedgerSecrets::Period& LedgerSecrets::period(Seqno seqno) const
{
  CHECK(seqno >= 1, "seqnos are counted up from 1");
  const auto* const newest = newest_.load(std::memory_order_acquire);
  if (seqno >= newest->first)
    return *newest;
  const base::LockGuard lock(mutex_);
  return *std::prev(in_force_.upper_bound(seqno))->second;
}

void LedgerSecrets::add(Seqno first, LedgerSecret secret)
{
  CHECK(first >= 1, "seqnos are counted up from 1");
  const base::LockGuard lock(mutex_);
  const auto& kept = secrets_.emplace_back(std::move(secret));
  const auto& period = all_.emplace_back(Period{first, &kept});
  in_force_.erase(in_force_.lower_bound(first), in_force_.end());
  in_force_.emplace(first, &period);
  newest_.store(&period, std::memory_order_release);
}

void LedgerSecrets::take_back(Seqno first)
{
  CHECK(first > 1, "the first secret is never lost");
  const base::LockGuard lock(mutex_);
  in_force_.erase(in_force_.lower_bound(first), in_force_.end());
  newest_.store(in_force_.rbegin()->second, std::memory_order_release);
}

std::vector<LedgerSecrets::Period> LedgerSecrets::periods() const
{
  const base::LockGuard lock(mutex_);
  std::vector<Period> periods;
  periods.reserve(in_force_.size());
  for (const auto& [first, period] : in_force_)
    periods.push_back(*period);
  return periods;
}
}
