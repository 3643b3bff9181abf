#pragma once

#include "concordat/transaction.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/secrets.h"

#include <optional>
#include <string_view>

namespace concordat::ledger
{
/// The signature that was committed last when a signature transaction was made: the tree in it begins there. Nothing
/// for other transactions, and for what was not written under the secret of its seqno.
std::optional<Seqno> committed_before(const Entry& entry, const LedgerSecrets& secrets);

/// The same of what a signature transaction writes; whether it is authentic is not looked at.
std::optional<Seqno> committed_before(const kv::WriteSet& writes);

/// Tells damage from a torn tail: whether bytes after the last whole entry hold a signature transaction that was
/// written after the batch of entry `broken` had been acknowledged. A crash tears the last batch alone, and the tree
/// in a signature begins at the signature committed before it, so a tree that begins at `broken` or later is proof.
/// Only what `secrets` authenticate counts: values in the tail may be anybody's.
/// @param tail any bytes
bool acknowledged_after(std::string_view tail, Seqno broken, const LedgerSecrets& secrets);
}
