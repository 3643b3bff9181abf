#pragma once

#include "concordat/transaction.h"

#include <string_view>

namespace concordat::ledger
{
/// Tells damage from a torn tail: whether bytes after the last whole entry hold a signature transaction that was
/// written after the batch of entry `broken` had been acknowledged. A crash tears the last batch alone, and the tree
/// in a signature begins at the signature committed before it, so a tree that begins at `broken` or later is proof.
/// Nothing is authenticated here; whoever can write the file can already keep a node from starting.
/// @param tail any bytes
bool acknowledged_after(std::string_view tail, Seqno broken);
}
