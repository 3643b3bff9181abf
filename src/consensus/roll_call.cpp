#include "consensus/roll_call.h"

#include <algorithm>
#include <tuple>

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

/// What is known to be committed last, by whoever knows it.
const Presence& RollCall::newest(const Presence& own) const
{
  const auto* newest = &own;
  for (const auto& [node, presence] : heard_)
    if (presence.applied > newest->applied)
      newest = &presence;
  return *newest;
}

/// Those of what is committed, and of all that may be.
std::vector<EngineId> RollCall::voters(const Presence& own) const
{
  const auto& known = newest(own);
  auto all = known.voters;
  all.insert(all.end(), known.outgoing.begin(), known.outgoing.end());
  const auto add = [&](const Presence& presence)
  {
    if (presence.last.index > known.applied.index)
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
  const auto& agreed = newest(own);
  const auto is_in = [](const std::vector<EngineId>& ids, EngineId id)
  { return std::ranges::find(ids, id) != ids.end(); };
  const auto votes = [&](EngineId id) { return is_in(agreed.voters, id) || is_in(agreed.outgoing, id); };
  // The same one for everybody who looks at the same logs. One that cannot be elected yet would be helped in vain, and
  // alone has nothing that is committed.
  const auto rank = [&](EngineId id, LogPosition last) { return std::tuple(votes(id), last, id); };
  auto best = rank(out.id, own.last);
  std::vector<EngineId> running;
  for (const auto& [node, presence] : heard_)
  {
    out.term = std::max(out.term, presence.term + 1);
    if (!std::ranges::binary_search(all, presence.id))
      continue;
    if (!presence.returning)
    {
      running.push_back(presence.id);
      out.full_stop = false;
    }
    best = std::max(best, rank(presence.id, presence.last));
  }
  out.votes_for = std::get<2>(best);
  const bool lacks = std::get<1>(best) < agreed.applied;
  const auto is_majority = [](std::size_t count, std::size_t of) { return 2 * count > of; };
  const auto run_most = [&](const std::vector<EngineId>& ids)
  {
    const auto run = std::ranges::count_if(ids, [&](EngineId id) { return is_in(running, id); });
    return is_majority(static_cast<std::size_t>(run), ids.size());
  };
  // They can agree without this node, and one of them soon admits it. A learner has nobody to help.
  const bool agree = run_most(agreed.voters) && (agreed.outgoing.empty() || run_most(agreed.outgoing));
  if (agree || !std::ranges::binary_search(all, out.id))
    return std::nullopt;
  // Somebody knows more to be committed than any of them has: the disks of all others that had it were put back.
  if (lacks && !(accept_loss_ && patient))
    return std::nullopt;
  if (!out.missing.empty() && !(accept_loss_ && patient && is_majority(all.size() - out.missing.size(), all.size())))
    return std::nullopt;
  if (out.votes_for == out.id)
    out.votes_for = 0;
  return out;
}
}
