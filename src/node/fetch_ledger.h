#pragma once

#include "concordat/error.h"
#include "consensus/durable_state.h"
#include "http/client.h"
#include "ledger/chunks.h"
#include "ledger/merkle.h"

#include <string>
#include <string_view>

namespace concordat::node
{
/// Stores ledger entries as they arrive from another node, one after the other, in pieces cut anywhere. Looks at their
/// form and numbers, and builds the tree over them; who signed them is for whoever reads the ledger then.
///
/// Used by one thread. Holds one entry, or 1 MiB.
class EntryReceiver
{
public:
  /// @param chunks empty; outlives this
  explicit EntryReceiver(ledger::ChunkFiles& chunks) : chunks_(chunks) {}

  /// The seqno that the next bytes begin with, after `resume`.
  Seqno next() const
  {
    return chunks_.last() + 1;
  }
  /// Forgets what came of an entry whose rest did not: the bytes that follow begin with `next()`.
  void resume();

  /// @return Error::corrupt for what are not the entries that come next; the errors of the disk
  Result<void> take(std::string_view piece);

  /// All has come: makes it durable.
  /// @param end  the last transaction, and the root of the tree over all, as the sender says
  /// @return Error::corrupt when something else has come; the errors of the disk
  Result<void> finish(const consensus::Mark& end);

private:
  Result<void> store(std::string_view whole);

  ledger::ChunkFiles& chunks_;
  ledger::MerkleTree tree_;
  TxId last_;
  std::string rest_; ///< the beginning of an entry
  std::uint64_t unsynced_ = 0;
};

/// Asks a node of the service for its ledger from `receiver.next()` on.
/// @return the newest committed signature, to which the ledger on the disk reaches then. Error::unavailable when the
///         connection broke or the node cannot answer now: asking again goes on; any other error is final
Result<consensus::Mark> fetch_ledger(http::Client& client, EntryReceiver& receiver);
}
