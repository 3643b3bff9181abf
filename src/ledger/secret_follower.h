#pragma once

#include "concordat/error.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/secret_record.h"
#include "ledger/secrets.h"
#include "ledger/wrapped_secret.h"

#include <optional>
#include <string>

namespace concordat::ledger
{
/// Opens entries in their order, each under the secret that it lies under, and follows the changes of it.
///
/// A secret changes with an entry that lies under the new one itself: it holds the new secret for each node, wrapped,
/// and the one before, sealed by the new one. So its public part is read before anybody has authenticated it; what
/// comes of that is believed only if it opens the entry, public part and all, and seals the secret that was in force.
/// Whoever made it knew that one: nobody outside does, though anybody can wrap.
class SecretFollower
{
public:
  /// @param secrets   what is known; changed as the entries say. Those that begin behind the entries may be of changes
  ///                  that were lost
  /// @param receiver  null: only known secrets are taken
  /// @param others    whether others may have gone on from there: a known change that is not in the entries was lost.
  ///                  If not, it is damage
  SecretFollower(LedgerSecrets& secrets, const SecretReceiver* receiver, bool others)
      : secrets_(secrets),
        receiver_(receiver),
        others_(others)
  {
  }

  /// @param writes  the public part of the entry
  /// @return the private part. Error::corrupt for an entry that is not authentic, as a crash can leave it behind;
  ///         Error::denied for what no crash does: a change that is not recorded as it must be, or of a secret that is
  ///         neither known nor meant for this node
  Result<std::string> open(const Entry& entry, const kv::WriteSet& writes);

  /// Whether it has taken a secret out of an entry, or found one lost.
  bool changed() const
  {
    return changed_;
  }
  /// Whether an entry began a secret, known before or not.
  bool saw_change() const
  {
    return saw_change_;
  }

private:
  Result<void> check(Seqno seqno, const kv::WriteSet& writes, const LedgerSecrets::Period* before) const;
  Result<std::optional<std::string>>
  learn(const Entry& entry, const kv::WriteSet& writes, const SecretRecord& record, LedgerSecrets::Period before);

  LedgerSecrets& secrets_;
  const SecretReceiver* const receiver_;
  const bool others_;
  bool changed_ = false;
  bool saw_change_ = false;
};
}
