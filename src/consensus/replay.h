#pragma once

#include "consensus/batch.h"
#include "consensus/durable_state.h"
#include "consensus/log_places.h"
#include "consensus/log_record.h"
#include "consensus/view_history.h"
#include "crypto/keys.h"
#include "kv/store.h"
#include "ledger/chunks.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"
#include "ledger/wrapped_secret.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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
  /// Whether all that this node has stored whole is committed. If not, that is what the mark covers, and what the tree
  /// in a later signature says was committed when it was made; the rest is log, which others may have replaced.
  bool alone = true;
  const ledger::SecretReceiver* receiver = nullptr; ///< takes secrets that this node does not know out of the ledger
};

/// A batch in the ledger that may not be committed.
struct LoggedBatch
{
  std::shared_ptr<const Batch> batch;
  std::optional<LogRecord> record; ///< if it holds one
};

/// A batch in the ledger that is committed.
struct CommittedBatch
{
  View view = 0;
  Descriptor descriptor;
  std::optional<LogRecord> record; ///< if it holds one
};

/// What a ledger holds, as of its last signature that is known to be committed.
struct Replayed
{
  kv::Snapshot state;
  ledger::MerkleTree tree;
  ViewHistory views;
  std::vector<Seqno> signatures;
  std::uint64_t batches_in_last_view = 0;
  // If this node is not alone:
  std::optional<LogRecord> record;        ///< the last one
  std::uint64_t batches_since_record = 0; ///< behind the one that holds it
  std::deque<CommittedBatch> recent;      ///< the last ones that are committed, for nodes that lag a little
  LogPlaces places;                       ///< of all that are committed, for those that lag more
  std::vector<LoggedBatch> tail;          ///< what follows
  std::uint64_t cut_entries = 0; ///< whole entries after the last signature, or in a batch that fails its check
  std::string cut_reason;        ///< why, if any
  bool loss_accepted = false;    ///< the mark is not in this ledger
  bool secrets_changed = false;  ///< the ledger held other ones than this node knew: they are to be sealed
};

/// Reads the whole ledger: authenticates and decrypts every entry under the secret of its seqno, rebuilds the tree,
/// compares it with every signature's root, checks each change of secrets, and applies the writes. `secrets` are what
/// the node knows: the ledger may have newer ones for it, and if it is not alone it may know some that came to nothing.
/// Of the signatures by one node in a row the last is verified, by node and service: it covers all before it by the
/// tree. What follows the last signature is cut off, durably, if it is beyond the mark; so is one batch that fails its
/// check at the very end, which a crash can leave behind.
/// @return Error::corrupt naming the transaction when anything before that fails or the service has not signed,
///         Error::not_found when the mark is not in this ledger; nothing is changed then
Result<Replayed> replay(ledger::ChunkFiles& chunks, ledger::LedgerSecrets& secrets, const Trust& trust);

/// How far the log of consensus reaches, from what was stored of it and what the ledger holds.
/// @return Error::corrupt when the ledger is newer than the stored state: one of them is an older copy
Result<Index> log_end(const DurableState& durable, const Replayed& replayed);

/// The log of consensus as a start finds it.
struct RestoredLog
{
  Index base = 0; ///< the last index before `entries`
  View base_term = 0;
  Index applied = 0; ///< what is committed ends here
  std::vector<LogEntry> entries;
  std::map<Index, std::shared_ptr<const Batch>> batches; ///< of those behind `applied`
  Configuration configuration = {.voters = {1}};         ///< at `applied`
  LogPlaces places = LogPlaces();                        ///< of entries up to `applied`
};

/// Puts together the log of consensus from the ledger and the terms that were opened. Where a term was opened in the
/// place of a batch, or an index is not known, the log ends: those batches were being replaced when the node stopped.
/// @return Error::corrupt when the ledger does not say at which index anything stands
Result<RestoredLog> restore_log(const DurableState& durable, const Replayed& replayed);
}
