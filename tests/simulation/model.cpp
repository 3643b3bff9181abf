#include "model.h"

namespace concordat::simulation
{
namespace
{
bool is_framework(const std::string& map)
{
  return map.starts_with("public:ccf.");
}
}

std::optional<std::string> Model::place(TxId txid, kv::WriteSet writes)
{
  auto lost = cut(txid.seqno - 1);
  placed_[txid.seqno] = {txid, std::move(writes), false};
  return lost;
}

void Model::acknowledge(TxId txid)
{
  placed_.at(txid.seqno).acknowledged = true;
}

std::optional<std::string> Model::cut(Seqno last)
{
  std::optional<std::string> lost;
  for (auto at = placed_.upper_bound(last); at != placed_.end(); at = placed_.erase(at))
    if (at->second.acknowledged)
      lost = "transaction " + at->second.txid.to_string() + " was acknowledged and is lost";
  return lost;
}

std::optional<std::string> Model::compare(const kv::State& state) const
{
  std::map<std::string, std::map<std::string, std::pair<Seqno, std::string>>> expected;
  for (const auto& [seqno, placed] : placed_)
  {
    if (seqno > state.seqno())
      break;
    for (const auto& [map, writes] : placed.writes)
      for (const auto& [key, value] : writes)
        if (value)
          expected[map][key] = {seqno, *value};
        else
          expected[map].erase(key);
  }
  for (const auto& map : state.maps())
  {
    if (is_framework(map.name))
      continue;
    auto& entries = expected[map.name];
    for (auto at = map.tree.lower_bound({}); at.valid(); at.next())
    {
      const auto found = entries.find(std::string(at.key()));
      if (found == entries.end())
        return "map " + map.name + " holds a key that nobody wrote";
      if (found->second.second != at.value() || found->second.first != at.version())
        return "map " + map.name + " holds another value, or version, than was written";
      entries.erase(found);
    }
    map.tree.check();
  }
  for (const auto& [map, entries] : expected)
    if (!is_framework(map) && !entries.empty())
      return "map " + map + " lacks " + std::to_string(entries.size()) + " keys";
  return std::nullopt;
}
}
