#pragma once

#include "consensus/sequencer.h"
#include "kv/write_set.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::consensus
{
/// What a signature transaction writes: the root signed by the node and by the service, and the tree
/// (ledger-format.md §6.3).
/// @param tree as MerkleTree::serialise gives it
kv::WriteSet
signature_writes(const Signer& signer, TxId txid, const Digest& root, std::string tree, std::int64_t unix_seconds);
}
