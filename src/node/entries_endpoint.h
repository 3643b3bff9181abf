#pragma once

#include "concordat/application.h"
#include "node/services.h"

namespace concordat::node
{
/// `GET /node/concordat/entries?from=<seqno>`, for trusted nodes only, above all for one that has just joined: the
/// ledger entries from that seqno to the newest committed signature as they are, one after the other. In headers:
/// `x-concordat-committed`, that signature's transaction id, and `x-concordat-root`, the hex root of the tree up to and
/// including it.
///
/// One entry at a time is held in memory.
Endpoint entries_endpoint(Services& services);
}
