#pragma once

#include "consensus/durable_state.h"
#include "consensus/view_history.h"
#include "crypto/keys.h"
#include "kv/store.h"
#include "ledger/chunks.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// What a start believes before it has read the ledger; all of it was sealed.
struct Trust
{
  crypto::PublicKey service_key;
  Mark mark;                ///< the ledger must reach it and be the same there
  bool accept_loss = false; ///< the operator's word: go on with what is there, if it is less or other than the mark
};

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
  bool loss_accepted = false;    ///< the mark is not in this ledger
};

/// Reads the whole ledger: authenticates and decrypts every entry under the secret of its seqno, rebuilds the tree,
/// compares it with every signature's root, checks each change of secrets, and applies the writes. Of the signatures
/// by one node in a row the last is verified, by node and service: it covers all before it by the tree. What follows
/// the last signature is cut off, durably, if it is beyond the mark; so is one batch that fails its check at the very
/// end, which a crash can leave behind.
/// @return Error::corrupt naming the transaction when anything before that fails or the service has not signed,
///         Error::not_found when the mark is not in this ledger; nothing is changed then
Result<Replayed> replay(ledger::ChunkFiles& chunks, const ledger::LedgerSecrets& secrets, const Trust& trust);

/// How far the log of consensus reaches, from what was stored of it and what the ledger holds.
/// @return Error::corrupt when the ledger is newer than the stored state: one of them is an older copy
Result<Index> log_end(const DurableState& durable, const Replayed& replayed);
}
