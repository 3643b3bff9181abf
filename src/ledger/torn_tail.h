#pragma once

#include "concordat/transaction.h"
#include "ledger/entry.h"
#include "ledger/secret.h"

#include <optional>
#include <string_view>

namespace concordat::ledger
{
/// The signature that was committed last when a signature transaction was made: the tree in it begins there. Nothing
/// for other transactions, and for what was not written under `secret`.
std::optional<Seqno> committed_before(const Entry& entry, const LedgerSecret& secret);

/// Tells damage from a torn tail: whether bytes after the last whole entry hold a signature transaction that was
/// written after the batch of entry `broken` had been acknowledged. A crash tears the last batch alone, and the tree
/// in a signature begins at the signature committed before it, so a tree that begins at `broken` or later is proof.
/// Only what `secret` authenticates counts: values in the tail may be anybody's.
/// @param tail any bytes
bool acknowledged_after(std::string_view tail, Seqno broken, const LedgerSecret& secret);
}
