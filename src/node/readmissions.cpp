#include "node/readmissions.h"

#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <utility>

namespace concordat::node
{
bool needs_note(ReadTransaction& state, const std::string& node_id, const AcceptedAbsence& absence)
{
  const auto record = node_record_of(state, node_id);
  if (!record || !takes_part(*record))
    return false;
  const auto known = read_object(state, tables::accepted_absences, node_id);
  return !known || string_member(*known, "start") != name_of_start(absence.start);
}

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

void Readmissions::note_absence(const std::string& node_id, AcceptedAbsence absence)
{
  const base::LockGuard lock(mutex_);
  absences_[node_id] = std::move(absence);
}

bool Readmissions::any() const
{
  const base::LockGuard lock(mutex_);
  return !waiting_.empty() || !absences_.empty();
}

bool Readmissions::write(Transaction& transaction)
{
  std::map<std::string, std::uint64_t> all;
  std::map<std::string, AcceptedAbsence> absences;
  {
    const base::LockGuard lock(mutex_);
    all.swap(waiting_);
    absences.swap(absences_);
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
  for (const auto& [node_id, absence] : absences)
  {
    if (!needs_note(transaction, node_id, absence))
      continue;
    const boost::json::object note{
        {"missing", boost::json::array(absence.missing.begin(), absence.missing.end())},
        {"start", name_of_start(absence.start)}};
    transaction.put(tables::accepted_absences, node_id, to_canonical_json(note));
    any = true;
  }
  return any;
}
}
