#pragma once

#include "consensus/signer.h"
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

/// Checks that the signature transaction `txid` was made by a node that the service endorsed, and by the service. That
/// the root in it is the right one is for whoever has the tree.
Result<void> verify_signature(TxId txid, const kv::WriteSet& writes, const crypto::PublicKey& service_key);
}
