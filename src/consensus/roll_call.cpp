#include "consensus/roll_call.h"

#include <algorithm>

namespace concordat::consensus
{
namespace
{
/// Nodes that are remembered: some more than there may be members.
constexpr std::size_t most_heard = 1'024;
}

void RollCall::hear(const std::string& node, const Presence& presence)
{
  if (presence.answers != start_ || (heard_.size() >= most_heard && !heard_.contains(node)))
    return;
  heard_[node] = presence;
}

EngineId RollCall::id(const Presence& own) const
{
  auto id = own.id;
  for (const auto& [node, presence] : heard_)
    id = std::max(id, presence.receiver);
  return id;
}

std::vector<EngineId> RollCall::voters(const Presence& own) const
{
  // Of what is committed the newest counts; of what may be, all that stands behind that.
  const auto* newest = &own;
  for (const auto& [node, presence] : heard_)
    if (presence.applied > newest->applied)
      newest = &presence;
  auto all = newest->voters;
  const auto add = [&](const Presence& presence)
  {
    if (presence.last.index > newest->applied)
      all.insert(all.end(), presence.coming.begin(), presence.coming.end());
  };
  add(own);
  for (const auto& [node, presence] : heard_)
    add(presence);
  std::ranges::sort(all);
  const auto twice = std::ranges::unique(all);
  all.erase(twice.begin(), twice.end());
  return all;
}

std::vector<EngineId> RollCall::missing(const Presence& own) const
{
  auto out = voters(own);
  const auto own_id = id(own);
  std::erase_if(
      out,
      [&](EngineId voter)
      {
        const auto was = [&](const Presence& presence)
        {
          const auto& former = presence.former;
          return presence.id == voter || std::ranges::find(former, voter) != former.end();
        };
        return voter == own_id || was(own) ||
               std::ranges::any_of(heard_, [&](const auto& heard) { return was(heard.second); });
      });
  return out;
}

std::optional<RollCall::Verdict> RollCall::verdict(const Presence& own, bool patient) const
{
  Verdict out{id(own), id(own), own.term + 1, false, true, missing(own)};
  for (const auto& [node, presence] : heard_)
    if (presence.admitted != 0)
      return Verdict{presence.admitted, 0, own.term, true, false, {}};
  const auto all = voters(own);
  auto newest = own.last;
  std::size_t running = 0;
  for (const auto& [node, presence] : heard_)
  {
    out.term = std::max(out.term, presence.term + 1);
    if (!std::ranges::binary_search(all, presence.id))
      continue;
    if (!presence.returning)
    {
      ++running;
      out.full_stop = false;
    }
    // Who has the newest log is the same for everybody who looks at the same logs.
    if (std::pair(presence.last, presence.id) > std::pair(newest, out.votes_for))
    {
      newest = presence.last;
      out.votes_for = presence.id;
    }
  }
  const auto is_majority = [&](std::size_t count) { return 2 * count > all.size(); };
  // They can agree without this node, and one of them soon admits it. A learner has nobody to help.
  if (is_majority(running) || !std::ranges::binary_search(all, out.id))
    return std::nullopt;
  if (!out.missing.empty() && !(accept_loss_ && patient && is_majority(all.size() - out.missing.size())))
    return std::nullopt;
  if (out.votes_for == out.id)
    out.votes_for = 0;
  return out;
}
}
