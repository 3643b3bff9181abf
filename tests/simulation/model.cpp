#include "model.h"

#include <algorithm>
#include <utility>

namespace concordat::simulation
{
namespace
{
bool is_framework(const std::string& map)
{
  return map.starts_with("public:ccf.");
}
}

Model::Wrong Model::place(TxId txid, std::optional<std::size_t> plan)
{
  if (std::ranges::find(named_, txid) != named_.end())
    return "the id " + txid.to_string() + " is given out twice";
  named_.push_back(txid);
  auto lost = cut(txid.seqno - 1);
  auto& placed = placed_[txid.seqno];
  placed = {txid, plan, {}};
  if (plan)
  {
    placed.writes = (*plans_)[*plan].write_set();
    placed.claims = (*plans_)[*plan].claims;
  }
  return lost;
}

void Model::acknowledge_all(Seqno last)
{
  for (auto& [seqno, placed] : placed_)
    if (seqno <= last)
      placed.acknowledged = true;
}

Model::Wrong Model::view_begun(View view, Seqno first)
{
  const auto old =
      std::ranges::find_if(placed_, [&](const auto& one) { return one.first >= first && one.second.txid.view < view; });
  if (old == placed_.end())
    return std::nullopt;
  // Of the new view there may be some behind it, and nothing can be between them.
  Wrong lost;
  for (auto at = old; at != placed_.end();)
    if (at->second.txid.view < view)
    {
      if (at->second.acknowledged)
        lost = "transaction " + at->second.txid.to_string() + " was acknowledged and the next view begins before it";
      at = placed_.erase(at);
    }
    else
      ++at;
  return lost;
}

Model::Wrong Model::cut(Seqno last)
{
  Wrong lost;
  for (auto at = placed_.upper_bound(last); at != placed_.end(); at = placed_.erase(at))
    if (at->second.acknowledged)
      lost = "transaction " + at->second.txid.to_string() + " was acknowledged and is lost";
  return lost;
}

const Model::Placed* Model::find(TxId txid) const
{
  const auto* const placed = at(txid.seqno);
  return placed && placed->txid == txid ? placed : nullptr;
}

const Model::Placed* Model::at(Seqno seqno) const
{
  const auto found = placed_.find(seqno);
  return found == placed_.end() ? nullptr : &found->second;
}

std::string Model::answer(std::size_t plan, Seqno last) const
{
  return (*plans_)[plan].answer(
      [&](const std::string& map, const std::string& key) -> std::optional<std::string>
      {
        for (auto at = placed_.upper_bound(last); at != placed_.begin();)
        {
          const auto& writes = (--at)->second.writes;
          const auto found = writes.find(map);
          if (found == writes.end())
            continue;
          if (const auto written = found->second.find(key); written != found->second.end())
            return written->second;
        }
        return std::nullopt;
      });
}

Model::Wrong Model::told(TxId txid, consensus::TxStatus status)
{
  using consensus::TxStatus;
  const auto known = final_.find(txid);
  if (known != final_.end() && known->second != status)
    return "transaction " + txid.to_string() + " was " + std::string(consensus::to_string(known->second)) +
           " and is now " + std::string(consensus::to_string(status));
  if (status == TxStatus::committed && !find(txid))
    return "transaction " + txid.to_string() + " is said to be committed and has no place";
  if (status == TxStatus::pending && !find(txid))
    return "transaction " + txid.to_string() + " is said to be pending and has no place";
  if (status == TxStatus::invalid && find(txid))
    return "transaction " + txid.to_string() + " is said to be invalid and has its place";
  if (status == TxStatus::committed || status == TxStatus::invalid)
    final_.emplace(txid, status);
  return std::nullopt;
}

Model::Wrong Model::compare(const kv::State& state) const
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
    if (!entries.empty())
      return "map " + map + " lacks " + std::to_string(entries.size()) + " keys";
  return std::nullopt;
}
}
