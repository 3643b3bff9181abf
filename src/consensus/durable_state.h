#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "consensus/engine.h"

#include <vector>

namespace concordat::consensus
{
/// A point that was committed for certain: what a start finds must reach it and be the same there.
struct Mark
{
  TxId txid;     ///< a committed signature transaction; 0.0: nothing is known
  Digest root{}; ///< of the tree over all entries up to and including it

  bool operator==(const Mark&) const = default;
};

/// What a node must find again after a crash besides its ledger, written before anything that depends on it leaves.
struct DurableState
{
  View term = 1;
  EngineId vote = 0;
  /// Terms that were opened in this node's log, the last one and those before it that may not be committed yet, in
  /// order. Batches of a term follow its opening one by one, so the index of each can be counted in the ledger.
  std::vector<OpenedTerm> opened;
  /// Nothing leaves because of it, so it may lag: saved at the end of a chunk, at a clean stop, and now and then.
  Mark mark;
  /// Others take part, or did: what this node has stored may not be committed. Set before any of them can be counted.
  bool several = false;
  /// That this node takes part under, since it came back last; 0: as the ledger says.
  EngineId engine_id = 0;

  bool operator==(const DurableState&) const = default;
  /// The term that was opened last; 0.0 if none was.
  OpenedTerm last_opened() const
  {
    return opened.empty() ? OpenedTerm{} : opened.back();
  }
};

/// Where the durable state is kept.
class DurableStateFile
{
public:
  virtual ~DurableStateFile() = default;
  virtual Result<void> save(const DurableState& state) = 0;
};
}
