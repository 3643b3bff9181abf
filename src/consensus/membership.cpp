#include "consensus/membership.h"

#include <algorithm>

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
}

std::optional<ConfigurationChange> next_change(const Membership& membership)
{
  const auto& now = membership.configuration;
  const auto& wanted = membership.wanted;
  // One that another primary has begun is ended first: until then nothing else can be changed.
  if (now.joint())
    return ConfigurationChange{};
  const auto change = [](EngineId id, Role role) { return ConfigurationChange{{{id, role}}}; };
  // Who is gone for good counts against the majority, so they leave before others come.
  for (const auto id : now.learners)
    if (!has(wanted.voters, id) && !has(wanted.leaving, id) && id != membership.self)
      return change(id, Role::none);
  for (const auto id : now.voters)
    if (!has(wanted.voters, id) && id != membership.self && now.voters.size() > 1)
      return change(id, has(wanted.leaving, id) ? Role::learner : Role::none);
  for (const auto& peer : membership.progress)
    if (has(now.learners, peer.id) && has(wanted.voters, peer.id) && peer.active &&
        peer.matched + nearly_all >= membership.last)
      return change(peer.id, Role::voter);
  for (const auto id : wanted.voters)
    if (now.role(id) == Role::none)
      return change(id, Role::learner);
  return std::nullopt;
}
}
