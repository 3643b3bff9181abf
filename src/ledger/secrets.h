#pragma once

#include "base/mutex.h"
#include "concordat/transaction.h"
#include "ledger/secret.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
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

  /// A secret, and the first seqno that lies under it.
  struct Period
  {
    Seqno first = 1;
    const LedgerSecret* secret = nullptr;
  };

  /// What somebody has written down: first seqnos from 1 on, ascending, and 32 bytes with each. They are wiped.
  /// @return null for anything else
  static std::shared_ptr<LedgerSecrets> from_raw(std::vector<std::pair<Seqno, std::string>> raw);

  /// What the entry at `seqno` lies under. @pre seqno ≥ 1
  const Period& period(Seqno seqno) const;
  const LedgerSecret& at(Seqno seqno) const
  {
    return *period(seqno).secret;
  }
  /// The first seqno that lies under the same secret as `seqno`. @pre seqno ≥ 1
  Seqno since(Seqno seqno) const
  {
    return period(seqno).first;
  }

  /// From `first` on this secret is in force, instead of whatever was said before for those seqnos.
  /// @pre first ≥ 1, and nothing at or above it is being written that anybody will read
  void add(Seqno first, LedgerSecret secret);
  /// Forgets the secrets that begin at `first` or later: the one before stays in force. For a change that was lost.
  /// @pre first > 1, and the same
  void take_back(Seqno first);

  /// All of them, ascending: what is sealed.
  std::vector<Period> periods() const;

private:
  /// The newest one, so that writers need no lock.
  std::atomic<const Period*> newest_{nullptr};
  mutable base::Mutex mutex_;
  std::deque<LedgerSecret> secrets_ GUARDED_BY(mutex_); ///< superseded ones too: references to them may be held
  std::deque<Period> all_ GUARDED_BY(mutex_);
  std::map<Seqno, const Period*> in_force_ GUARDED_BY(mutex_);
};
}
