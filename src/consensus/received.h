#pragma once

#include "consensus/batch.h"
#include "kv/store.h"
#include "ledger/merkle.h"
#include "ledger/secret_follower.h"

namespace concordat::consensus
{
/// Applies a batch of another primary, which is agreed on: decrypts its entries, compares the signed root with the
/// tree's, and appends its leaves.
/// @param opener  follows the ledger's secrets
/// @param tree    over all entries before the batch; of no use after an error
/// @return the state with the batch; Error::corrupt when the batch does not continue this node's history
Result<kv::Snapshot> apply_received(
    const Batch& batch, ledger::SecretFollower& opener, const kv::Snapshot& before, ledger::MerkleTree& tree);
}
