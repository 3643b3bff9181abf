#include "node/engine_ids.h"

#include "base/check.h"
#include "base/encoding.h"
#include "consensus/log_record.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <charconv>

namespace concordat::node
{
namespace
{
constexpr consensus::EngineId of_founder = 1;
/// Numbers that a node had before which are kept: any that may still be in the agreement.
constexpr std::size_t most_former = 64;

consensus::EngineId number_in(std::string_view value)
{
  consensus::EngineId id = 0;
  const char* const end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, id);
  // Going on with a guess would give one number to two nodes.
  CHECK(parsed.ec == std::errc{} && parsed.ptr == end && id != 0, "numbers of nodes are written by this file alone");
  return id;
}

/// Where there is no table yet: the node that has been alone so far.
std::optional<std::string> founder(ReadTransaction& state)
{
  std::optional<std::string> found;
  const auto nodes = state.scan(tables::node_info);
  while (nodes->next())
  {
    const auto record = parse_json(nodes->value());
    const auto* const object = record ? record->if_object() : nullptr;
    if (!object || string_member(*object, "status") != "Trusted")
      continue;
    if (found)
      return std::nullopt;
    found = std::string(nodes->key());
  }
  return found;
}
}

std::string name_of_start(std::uint64_t start)
{
  std::string bytes;
  base::append_be(bytes, start);
  return base::to_hex(bytes);
}

std::optional<consensus::EngineId> engine_id_of(ReadTransaction& state, std::string_view node_id)
{
  if (const auto value = state.get(tables::engine_ids, node_id))
    return number_in(*value);
  for (const auto& [id, known] : node_ids(state))
    if (known == node_id)
      return id;
  return std::nullopt;
}

std::map<consensus::EngineId, std::string> node_ids(ReadTransaction& state)
{
  std::map<consensus::EngineId, std::string> ids;
  const auto rows = state.scan(tables::engine_ids);
  while (rows->next())
    CHECK(ids.emplace(number_in(rows->value()), rows->key()).second, "a number belongs to one node");
  if (ids.empty())
    if (auto alone = founder(state))
      ids.emplace(of_founder, std::move(*alone));
  return ids;
}

consensus::EngineId give_engine_id(Transaction& transaction, std::string_view node_id)
{
  const auto known = node_ids(transaction);
  if (known.size() == 1)
    transaction.put(tables::engine_ids, known.begin()->second, std::to_string(known.begin()->first));
  for (const auto& [id, node] : known)
    if (node == node_id)
      return id;
  const auto next = known.empty() ? of_founder : known.rbegin()->first + 1;
  transaction.put(tables::engine_ids, node_id, std::to_string(next));
  return next;
}

std::vector<consensus::EngineId> engine_ids_of(ReadTransaction& state, std::string_view node_id)
{
  std::vector<consensus::EngineId> out;
  const auto row = read_object(state, tables::returns, std::string(node_id));
  const auto* const former = row ? row->if_contains("former") : nullptr;
  if (former && former->is_array())
    for (const auto& one : former->get_array())
      if (const auto* const id = one.if_int64())
        out.push_back(static_cast<consensus::EngineId>(*id));
  if (const auto now = engine_id_of(state, node_id))
    out.push_back(*now);
  return out;
}

std::optional<consensus::EngineId>
engine_id_since(ReadTransaction& state, std::string_view node_id, std::uint64_t start)
{
  const auto row = read_object(state, tables::returns, std::string(node_id));
  if (!row || string_member(*row, "start") != name_of_start(start))
    return std::nullopt;
  return engine_id_of(state, node_id);
}

consensus::EngineId renew_engine_id(Transaction& transaction, std::string_view node_id, std::uint64_t start)
{
  if (const auto given = engine_id_since(transaction, node_id, start))
    return *given;
  const auto known = node_ids(transaction);
  CHECK(!known.empty(), "a service has a node that is trusted");
  if (known.size() == 1)
    transaction.put(tables::engine_ids, known.begin()->second, std::to_string(known.begin()->first));
  // The highest that was ever given is in the table: only by a higher one is a number replaced.
  const auto next = known.rbegin()->first + 1;
  auto former = engine_ids_of(transaction, node_id);
  if (former.size() > most_former)
    former.erase(former.begin());
  transaction.put(tables::engine_ids, node_id, std::to_string(next));
  transaction.put(
      tables::returns, node_id,
      to_canonical_json(boost::json::object{
          {"former", boost::json::array(former.begin(), former.end())},
          {"id", next},
          {"start", name_of_start(start)}}));
  return next;
}

consensus::Configuration configuration_in(ReadTransaction& state)
{
  const auto text = state.get(consensus::LogRecord::table, ledger::single_key);
  auto record = text ? consensus::LogRecord::from_json(*text) : fail(ErrorCode::not_found, "there is no record");
  return record ? std::move(record->configuration) : consensus::Configuration{};
}
}
