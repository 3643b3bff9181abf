#pragma once

#include "base/mutex.h"
#include "concordat/transaction.h"
#include "ledger/secret.h"

#include <atomic>
#include <deque>
#include <map>
#include <vector>

namespace concordat::ledger
{
/// The secrets of one ledger, by the seqno of the first entry that lies under each (ledger-format.md §10.1).
///
/// Any thread may call; a reference that was given out stays good as long as this object, whatever is added.
class LedgerSecrets
{
public:
  /// @param first in force from seqno 1 on
  explicit LedgerSecrets(LedgerSecret first);
  LedgerSecrets(const LedgerSecrets&) = delete;
  LedgerSecrets& operator=(const LedgerSecrets&) = delete;

  /// The secret that the entry at `seqno` lies under. @pre seqno ≥ 1
  const LedgerSecret& at(Seqno seqno) const;
  /// The first seqno that lies under the same secret as `seqno`. @pre seqno ≥ 1
  Seqno since(Seqno seqno) const;

  /// From `first` on this secret is in force, instead of whatever was said before for those seqnos.
  /// @pre first ≥ 1, and nothing at or above it is being written
  void add(Seqno first, LedgerSecret secret);

  /// All of them with their first seqnos, ascending: what is sealed.
  struct Period
  {
    Seqno first = 1;
    const LedgerSecret* secret = nullptr;
  };
  std::vector<Period> periods() const;

private:
  const Period& find(Seqno seqno) const;

  /// The newest one, so that writers need no lock.
  std::atomic<const Period*> newest_{nullptr};
  mutable base::Mutex mutex_;
  std::deque<LedgerSecret> secrets_ GUARDED_BY(mutex_); ///< superseded ones too: references to them may be held
  std::deque<Period> all_ GUARDED_BY(mutex_);
  std::map<Seqno, const Period*> in_force_ GUARDED_BY(mutex_);
};
}
