#include "consensus/membership.h"

#include <algorithm>
#include <utility>

namespace concordat::consensus
{
namespace
{
/// Entries that a learner may lack when it gets its vote.
constexpr Index nearly_all = 64;

bool has(const std::vector<EngineId>& ids, EngineId id)
{
  return std::ranges::find(ids, id) != ids.end();
}

/// Votes that are given and taken away together. Who retires, and answers, keeps its vote until those that are on their
/// way can take its place: where a node is replaced, there is never one less in between, without whom no other may
/// fail.
std::vector<MemberChange> changes_of_votes(const Membership& membership)
{
  const auto& now = membership.configuration;
  const auto& wanted = membership.wanted;
  // The primary stays itself, so there is always somebody who votes.
  if (!has(now.voters, membership.self))
    return {};
  std::vector<MemberChange> changes;
  bool others_come = std::ranges::any_of(wanted.voters, [&](EngineId id) { return now.role(id) == Role::none; });
  for (const auto& peer : membership.progress)
  {
    if (!has(now.learners, peer.id) || !has(wanted.voters, peer.id))
      continue;
    if (peer.active && peer.matched + nearly_all >= membership.last)
      changes.push_back({peer.id, Role::voter});
    else if (peer.active ? !peer.stranded : membership.patient)
      others_come = true;
  }
  const auto retires = [&](EngineId id)
  {
    return has(wanted.leaving, id) &&
           std::ranges::any_of(
               membership.progress, [id](const PeerProgress& peer) { return peer.id == id && peer.active; });
  };
  for (const auto id : now.voters)
    if (!has(wanted.voters, id) && id != membership.self && !(others_come && retires(id)))
      changes.push_back({id, has(wanted.leaving, id) ? Role::learner : Role::none});
  changes.resize(std::min(changes.size(), ConfigurationChange::max_members));
  return changes;
}
}

std::optional<ConfigurationChange> next_change(const Membership& membership)
{
  const auto& now = membership.configuration;
  const auto& wanted = membership.wanted;
  // One that another primary has begun is ended first: until then nothing else can be changed.
  if (now.joint())
    return ConfigurationChange{};
  for (const auto id : now.learners)
    if (!has(wanted.voters, id) && !has(wanted.leaving, id) && id != membership.self)
      return ConfigurationChange{{{id, Role::none}}};
  // Who is gone for good counts against the majority, so they leave before others come; and so does the number of a
  // node that has come back under another one, as it takes part under one at a time.
  if (auto changes = changes_of_votes(membership); !changes.empty())
  {
    // A vote is taken away by way of a joint configuration: what takes it away for good is then stored by a majority of
    // those who still vote. Otherwise all that have it may be who votes no more and one whose disk is put back, and
    // nobody could lead who knows of it.
    const bool alone = changes.size() == 1 && changes.front().role != Role::voter;
    return ConfigurationChange{std::move(changes), alone};
  }
  for (const auto id : wanted.voters)
    if (now.role(id) == Role::none)
      return ConfigurationChange{{{id, Role::learner}}};
  return std::nullopt;
}
}
