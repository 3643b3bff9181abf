#include "kv/store.h"

#include <algorithm>

namespace concordat::kv
{
namespace
{
constexpr auto before = [](const State::Map& map, std::string_view name) { return map.name < name; };
}

const State::Map* State::find(std::string_view name) const
{
  const auto at = std::lower_bound(maps_.begin(), maps_.end(), name, before);
  return at != maps_.end() && at->name == name ? &*at : nullptr;
}

State::Map& State::map_for_writing(std::string_view name, Seqno version)
{
  auto at = std::lower_bound(maps_.begin(), maps_.end(), name, before);
  if (at == maps_.end() || at->name != name)
    at = maps_.insert(at, Map{std::string(name), {}, 0});
  at->version = std::max(at->version, version);
  return *at;
}

Tree& State::restore_map(std::string_view name, Seqno version)
{
  return map_for_writing(name, version).tree;
}

void State::apply(const WriteSet& writes, TxId txid)
{
  const auto seqno = txid.seqno;
  std::uint64_t keys = 0;
  for (const auto& [name, map_writes] : writes)
  {
    if (map_writes.empty())
      continue;
    keys += map_writes.size();
    Tree::Writer writer(map_for_writing(name, seqno).tree);
    for (const auto& [key, value] : map_writes)
    {
      if (value)
        writer.put(key, seqno, *value);
      else
        writer.erase(key);
    }
  }
  applied(txid, keys);
}

void State::applied(TxId txid, std::uint64_t keys)
{
  if (txid.seqno > txid_.seqno)
    txid_ = txid;
  ++revision_;
  keys_written_ += keys;
}
}
