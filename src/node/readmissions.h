#pragma once

#include "base/mutex.h"
#include "concordat/transaction.h"
#include "consensus/configuration.h"
#include "kv/store.h"
#include "node/peer_message.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace concordat::node
{
/// Whether it is not written yet that a node which takes part went on without those voters.
bool needs_note(ReadTransaction& state, const std::string& node_id, const AcceptedAbsence& absence);

/// Nodes that have come back and wait for a number, or for a note that they went on without others, on the primary.
class Readmissions
{
public:
  /// The number that a node was given for this start of it, in a committed state. If there is none, and `give`, it is
  /// written soon, unless the node is to take no part. Quick; any thread.
  std::optional<consensus::EngineId>
  look(const kv::Snapshot& committed, const std::string& node_id, std::uint64_t start, bool give) EXCLUDES(mutex_);
  /// Has it written soon that a node went on without some voters.
  void note_absence(const std::string& node_id, AcceptedAbsence absence) EXCLUDES(mutex_);
  bool any() const EXCLUDES(mutex_);
  /// Gives all that wait their numbers, and writes the notes. @return whether anything was written
  bool write(Transaction& transaction) EXCLUDES(mutex_);

private:
  mutable base::Mutex mutex_;
  std::map<std::string, std::uint64_t> waiting_ GUARDED_BY(mutex_); ///< node id to its last start
  std::map<std::string, AcceptedAbsence> absences_ GUARDED_BY(mutex_);
};
}
