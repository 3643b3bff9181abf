#include "history.h"

#include "consensus/log_record.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::simulation
{
namespace
{
bool is_framework(const std::string& map)
{
  return map.starts_with("public:ccf.");
}

bool is_plan_map(const std::string& map)
{
  return !is_framework(map);
}
}

void History::placed(TxId txid, std::optional<std::size_t> plan)
{
  if (!placed_.emplace(txid, Placed{plan, last().seqno}).second)
    return verdict_.wrong("the id " + txid.to_string() + " is given out twice");
  named_.push_back(txid);
}

bool History::has_place(std::size_t plan, TxId txid) const
{
  const auto found = placed_.find(txid);
  return found != placed_.end() && found->second.plan == plan;
}

bool History::is_committed(TxId txid) const
{
  return txid.seqno >= 1 && txid.seqno <= entries_.size() && entries_[txid.seqno - 1].txid == txid;
}

std::optional<Digest> History::root_at(TxId signature) const
{
  if (!is_committed(signature) || !entries_[signature.seqno - 1].is_signature)
    return std::nullopt;
  return entries_[signature.seqno - 1].root;
}

void History::committed(Seqno seqno, std::string_view bytes)
{
  if (seqno > entries_.size() + 1)
    return verdict_.wrong("transaction " + std::to_string(seqno) + " is committed before the ones below it");
  if (seqno == entries_.size() + 1)
    return append(seqno, bytes);
  if (entries_[seqno - 1].bytes != bytes)
    verdict_.wrong(
        "another transaction is committed at " + std::to_string(seqno) + " than " +
        entries_[seqno - 1].txid.to_string());
}

void History::append(Seqno seqno, std::string_view bytes)
{
  const auto entry = ledger::parse_entry(bytes);
  kv::WriteSet writes;
  if (!entry || entry->txid.seqno != seqno || !kv::decode(entry->public_maps, kv::Domain::public_maps, writes))
    return verdict_.wrong("what is committed at " + std::to_string(seqno) + " cannot be read");
  const auto txid = entry->txid;
  if (txid.view < last().view)
    verdict_.wrong(txid.to_string() + " is committed after " + last().to_string());
  if (invalid_.contains(txid))
    verdict_.wrong(txid.to_string() + " is committed, and somebody was told that it never will be");
  auto& added = entries_.emplace_back(Entry{txid, std::string(bytes), ledger::is_signature(writes), {}});
  if (added.is_signature)
  {
    const auto signature = ledger::read_signature(writes);
    if (!signature || !signature->record || signature->record->root != tree_.root())
      verdict_.wrong(txid.to_string() + " is a signature over something else than what is committed");
  }
  tree_.append(entry->leaf());
  added.root = tree_.root();
  if (const auto record = writes.find(std::string(consensus::LogRecord::table)); record != writes.end())
    for (const auto& [key, value] : record->second)
      if (const auto read = consensus::LogRecord::from_json(value.value_or("")); read && read->change)
        verdict_.count(read->configuration.joint() ? "joint change" : "who takes part has changed");
  if (writes.contains(std::string(node::tables::returns)))
    verdict_.count("node readmitted");
  const auto place = placed_.find(txid);
  if (place == placed_.end() || !place->second.plan)
    return;
  const auto plan = *place->second.plan;
  if (!done_.insert(plan).second)
    verdict_.wrong("a write is committed twice, now as " + txid.to_string());
  if (denied_.contains(plan))
    verdict_.wrong(txid.to_string() + " is committed, and who asked for it was told that nothing was done");
  for (const auto& [map, keys] : plans_[plan].write_set())
    for (const auto& [key, value] : keys)
      values_[{map, key}].emplace_back(seqno, value);
}

void History::shown(const kv::Snapshot& state)
{
  const auto txid = state->txid();
  if (!is_committed(txid) || !entries_[txid.seqno - 1].is_signature)
    return verdict_.wrong("state " + txid.to_string() + " is shown, and is not committed, or no signature covers it");
  const auto [known, is_new] = states_.emplace(txid.seqno, state);
  if (!is_new)
    return compare(*known->second, *state);
  if (txid == last())
    compare_with_plans(*state);
  if (known != states_.begin())
    check_membership(std::prev(known)->second, state);
}

/// Every key that a plan wrote has its last value, and nothing else is there.
void History::compare_with_plans(const kv::State& state)
{
  std::size_t there = 0;
  for (const auto& [name, values] : values_)
  {
    const auto& [seqno, value] = values.back();
    const auto* const map = state.find(name.first);
    const auto at = map ? std::optional(map->tree.lower_bound(name.second)) : std::nullopt;
    const bool found = at && at->valid() && at->key() == name.second;
    if (found != value.has_value() || (found && (at->value() != *value || at->version() != seqno)))
      return verdict_.wrong(
          "state " + state.txid().to_string() + " holds another value of " + name.second + " than was written");
    there += found ? 1 : 0;
  }
  std::size_t all = 0;
  for (const auto& map : state.maps())
    if (is_plan_map(map.name))
      for (auto at = map.tree.lower_bound({}); at.valid(); at.next())
        ++all;
  if (all != there)
    verdict_.wrong("state " + state.txid().to_string() + " holds keys that nobody wrote");
}

void History::compare(const kv::State& one, const kv::State& other)
{
  const auto different = [&] { verdict_.wrong("nodes show different states as " + one.txid().to_string()); };
  if (one.txid() != other.txid() || one.maps().size() != other.maps().size())
    return different();
  for (std::size_t i = 0; i < one.maps().size(); ++i)
  {
    const auto& [name, tree, version] = one.maps()[i];
    const auto& also = other.maps()[i];
    if (name != also.name || version != also.version)
      return different();
    auto at = tree.lower_bound({});
    auto there = also.tree.lower_bound({});
    for (; at.valid() && there.valid(); at.next(), there.next())
      if (at.key() != there.key() || at.value() != there.value() || at.version() != there.version())
        return different();
    if (at.valid() || there.valid())
      return different();
  }
}

/// What was committed, as far as anybody had shown it, when a transaction of the framework got its place; null if that
/// is not known.
kv::Snapshot History::known_when_placed(Seqno seqno) const
{
  const auto place = is_committed(entries_[seqno - 1].txid) ? placed_.find(entries_[seqno - 1].txid) : placed_.end();
  if (place == placed_.end())
    return nullptr;
  const auto after = states_.upper_bound(place->second.known);
  return after == states_.begin() ? nullptr : std::prev(after)->second;
}

/// Who is taken out of the agreement has retired, and that was committed before this was asked for; and so for the note
/// that it may go.
void History::check_membership(const kv::Snapshot& before, const kv::Snapshot& after)
{
  const auto version = [](const kv::Snapshot& state, std::string_view table)
  {
    const auto* const map = state->find(table);
    return map ? map->version : 0;
  };
  const auto same = [&](std::string_view table) { return version(before, table) == version(after, table); };
  if (same(consensus::LogRecord::table) && same(node::tables::node_info))
    return;
  kv::SnapshotTransaction old(before, kv::RunBy::node);
  kv::SnapshotTransaction now(after, kv::RunBy::node);
  const auto configuration = [](ReadTransaction& state)
  {
    const auto record =
        consensus::LogRecord::from_json(state.get(consensus::LogRecord::table, ledger::single_key).value_or(""));
    return record ? record->configuration : consensus::Configuration{};
  };
  // @param since  the transaction that takes it out, or notes that it may go
  const auto had_retired = [&](std::string_view node, Seqno since)
  {
    const auto known = known_when_placed(since);
    if (!known)
      return true;
    kv::SnapshotTransaction state(known, kv::RunBy::node);
    const auto record = node::node_record_of(state, node);
    return !record || node::string_member(*record, "status") == "Retired";
  };
  const auto was = configuration(old);
  const auto is = configuration(now);
  // Whose vote is to be taken away has none in the new half of a joint configuration, which comes first.
  const auto votes_in = [](const consensus::Configuration& in, consensus::EngineId id)
  { return std::ranges::binary_search(in.voters, id); };
  for (const auto& [id, node] : node::node_ids(old))
    if (votes_in(was, id) && !votes_in(is, id) && node::engine_id_of(now, node) == id &&
        !had_retired(node, version(after, consensus::LogRecord::table)))
      verdict_.wrong("node number " + std::to_string(id) + " is taken out before its retirement is committed");
  for (const auto cursor = now.scan(node::tables::node_info); cursor->next();)
  {
    const auto noted = node::node_record_of(now, cursor->key());
    const auto record = node::node_record_of(old, cursor->key());
    if (noted && record && node::takes_part(*record) && !node::takes_part(*noted) &&
        !had_retired(cursor->key(), now.version(node::tables::node_info, cursor->key()).value_or(1)))
      verdict_.wrong("that a node has retired is noted before it is committed");
    const bool newly = noted && record && !node::takes_part(*noted) && node::takes_part(*record);
    for (const auto id : newly ? node::engine_ids_of(old, cursor->key()) : std::vector<consensus::EngineId>{})
      if (was.role(id) == consensus::Role::voter)
        verdict_.wrong("a node that counts for a majority is said to take no part any more");
  }
}

void History::led(View view, const std::string& node, TxId committed)
{
  const auto [known, is_new] = primaries_.emplace(view, node);
  if (known->second != node)
    verdict_.wrong("view " + std::to_string(view) + " has two primaries");
  if (!is_new)
    return;
  verdict_.count("primary elected");
  // What was committed in earlier views; a later one may have gone on already.
  const auto later = std::ranges::find_if(entries_, [view](const Entry& entry) { return entry.txid.view >= view; });
  if (committed.seqno < static_cast<Seqno>(later - entries_.begin()))
    verdict_.wrong("the primary of view " + std::to_string(view) + " lacks what was committed before it");
}

void History::acknowledged(TxId txid)
{
  if (!is_committed(txid))
    return verdict_.wrong("somebody is told that " + txid.to_string() + " is committed, and it is not");
  last_acknowledged_ = std::max(last_acknowledged_, txid.seqno);
}

void History::told(TxId txid, consensus::TxStatus status)
{
  if (status == consensus::TxStatus::committed)
    acknowledged(txid);
  if (status != consensus::TxStatus::invalid)
    return;
  if (is_committed(txid))
    verdict_.wrong("somebody is told that " + txid.to_string() + " is invalid, and it is committed");
  invalid_.insert(txid);
}

void History::denied(std::size_t plan)
{
  if (done_.contains(plan))
    verdict_.wrong("somebody is told that nothing was done, and what they asked for is committed");
  denied_.insert(plan);
}

std::string History::answer(std::size_t plan, Seqno last) const
{
  return plans_[plan].answer(
      [&](const std::string& map, const std::string& key) -> std::optional<std::string>
      {
        const auto found = values_.find({map, key});
        if (found == values_.end())
          return std::nullopt;
        const auto after =
            std::ranges::upper_bound(found->second, last, {}, [](const auto& written) { return written.first; });
        return after == found->second.begin() ? std::nullopt : std::prev(after)->second;
      });
}
}
