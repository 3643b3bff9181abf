#include "node/readmissions.h"

#include "node/engine_ids.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <utility>

namespace concordat::node
{
std::optional<consensus::EngineId>
Readmissions::look(const kv::Snapshot& committed, const std::string& node_id, std::uint64_t start, bool give)
{
  kv::SnapshotTransaction state(committed, kv::RunBy::node);
  if (const auto given = engine_id_since(state, node_id, start))
    return given;
  if (!give)
    return std::nullopt;
  const auto record = node_record_of(state, node_id);
  if (!record || !takes_part(*record))
    return std::nullopt;
  const base::LockGuard lock(mutex_);
  waiting_[node_id] = start;
  return std::nullopt;
}

bool Readmissions::any() const
{
  const base::LockGuard lock(mutex_);
  return !waiting_.empty();
}

bool Readmissions::write(Transaction& transaction)
{
  std::map<std::string, std::uint64_t> all;
  {
    const base::LockGuard lock(mutex_);
    all.swap(waiting_);
  }
  bool any = false;
  for (const auto& [node_id, start] : all)
  {
    // As of this transaction: it may have been taken out, or been given its number, meanwhile.
    const auto record = node_record_of(transaction, node_id);
    if (!record || !takes_part(*record) || engine_id_since(transaction, node_id, start))
      continue;
    renew_engine_id(transaction, node_id, start);
    any = true;
  }
  return any;
}
}
