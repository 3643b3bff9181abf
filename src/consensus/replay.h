#pragma once

#include "consensus/durable_state.h"
#include "consensus/view_history.h"
#include "kv/store.h"
#include "ledger/chunks.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// What a ledger holds, as of its last signature.
struct Replayed
{
  kv::Snapshot state;
  ledger::MerkleTree tree;
  ViewHistory views;
  std::vector<Seqno> signatures;
  std::uint64_t batches_in_last_view = 0;
  std::uint64_t cut_entries = 0; ///< whole entries after the last signature, or in a batch that fails its check
  std::string cut_reason;        ///< why, if any
};

/// Reads the whole ledger: authenticates and decrypts every entry, rebuilds the tree, compares it with every
/// signature's root, and applies the writes. What follows the last signature was never acknowledged and is cut off,
/// durably; so is one batch that fails its check at the very end, which a crash can leave behind.
/// @return Error::corrupt naming the transaction when anything before that fails: acknowledged data is damaged, and
///         nothing is changed
Result<Replayed> replay(ledger::ChunkFiles& chunks, const ledger::LedgerSecrets& secrets);

/// How far the log of consensus reaches, from what was stored of it and what the ledger holds.
/// @return Error::corrupt when the ledger is newer than the stored state: one of them is an older copy
Result<Index> log_end(const DurableState& durable, const Replayed& replayed);
}
