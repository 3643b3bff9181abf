#include "consensus/configuration.h"

#include <algorithm>
#include <utility>

namespace concordat::consensus
{
namespace
{
using Ids = std::vector<EngineId>;

bool can_be(EngineId id)
{
  return id != 0 && id >> 63 == 0;
}

bool has(const Ids& ids, EngineId id)
{
  return std::ranges::binary_search(ids, id);
}

void insert(Ids& ids, EngineId id)
{
  const auto at = std::ranges::lower_bound(ids, id);
  if (at == ids.end() || *at != id)
    ids.insert(at, id);
}

void erase(Ids& ids, EngineId id)
{
  std::erase(ids, id);
}

Result<void> validate_list(const char* name, const Ids& ids)
{
  if (ids.size() > Configuration::max_members)
    return fail(
        ErrorCode::invalid, "a configuration has " + std::to_string(ids.size()) + " " + name + ", the limit is " +
                                std::to_string(Configuration::max_members));
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!can_be(ids[i]) || (i > 0 && ids[i - 1] >= ids[i]))
      return fail(
          ErrorCode::invalid,
          "a configuration lists " + std::to_string(ids[i]) + " wrongly among its " + std::string(name));
  return {};
}

/// In which list a node is that is not outgoing only, as none of raft's rules depends on more.
Role wanted_role(const Configuration& configuration, EngineId id)
{
  if (has(configuration.voters, id))
    return Role::voter;
  if (has(configuration.learners, id) || has(configuration.learners_next, id))
    return Role::learner;
  return Role::none;
}

void give_role(Configuration& configuration, const MemberChange& member)
{
  erase(configuration.voters, member.id);
  erase(configuration.learners, member.id);
  erase(configuration.learners_next, member.id);
  if (member.role == Role::voter)
    insert(configuration.voters, member.id);
  if (member.role == Role::learner)
    // Nobody is outgoing voter and learner at once.
    insert(
        has(configuration.voters_outgoing, member.id) ? configuration.learners_next : configuration.learners,
        member.id);
}

void append(std::string& out, const char* name, const Ids& ids)
{
  if (ids.empty())
    return;
  if (!out.empty())
    out += ", ";
  out += name;
  for (const auto id : ids)
    out += " " + std::to_string(id);
}
}

Result<void> ConfigurationChange::validate() const
{
  if (members.size() > max_members)
    return fail(
        ErrorCode::invalid, "a change of the configuration names " + std::to_string(members.size()) +
                                " nodes, the limit is " + std::to_string(max_members));
  if (joint_alone && members.size() != 1)
    return fail(ErrorCode::invalid, "a change of the configuration says of several nodes what is said of one");
  for (auto member = members.begin(); member != members.end(); ++member)
  {
    if (!can_be(member->id) || member->role > Role::voter)
      return fail(
          ErrorCode::invalid,
          "a change of the configuration gives node " + std::to_string(member->id) + " a role that it cannot have");
    if (std::any_of(members.begin(), member, [&](const MemberChange& before) { return before.id == member->id; }))
      return fail(
          ErrorCode::invalid, "a change of the configuration names node " + std::to_string(member->id) + " twice");
  }
  return {};
}

Role Configuration::role(EngineId id) const
{
  return has(voters_outgoing, id) ? Role::voter : wanted_role(*this, id);
}

Result<void> Configuration::validate() const
{
  const std::pair<const char*, const Ids*> lists[] = {
      {"voters", &voters},
      {"learners", &learners},
      {"outgoing voters", &voters_outgoing},
      {"next learners", &learners_next}};
  for (const auto& [name, ids] : lists)
    if (auto sound = validate_list(name, *ids); !sound)
      return sound;
  if (voters.empty())
    return fail(ErrorCode::invalid, "a configuration has no voters");
  for (const auto id : learners)
    if (has(voters, id) || has(voters_outgoing, id))
      return fail(ErrorCode::invalid, "node " + std::to_string(id) + " is learner and voter of a configuration");
  for (const auto id : learners_next)
    if (has(voters, id) || !has(voters_outgoing, id))
      return fail(
          ErrorCode::invalid, "node " + std::to_string(id) + " is to become a learner, but is no outgoing voter");
  return {};
}

Result<Configuration> Configuration::after(const ConfigurationChange& change) const
{
  if (auto sound = change.validate(); !sound)
    return std::unexpected(sound.error());
  auto out = *this;
  if (change.leaves_joint())
  {
    if (!joint())
      return fail(ErrorCode::invalid, "there is no joint configuration to leave");
    for (const auto id : learners_next)
      insert(out.learners, id);
    out.learners_next.clear();
    out.voters_outgoing.clear();
    return out;
  }
  if (joint())
    return fail(ErrorCode::invalid, "the joint configuration must be left first");
  if (change.makes_joint())
    out.voters_outgoing = voters;
  for (const auto& member : change.members)
  {
    if (wanted_role(*this, member.id) == member.role)
      return fail(ErrorCode::invalid, "node " + std::to_string(member.id) + " already has the role that it shall get");
    give_role(out, member);
  }
  if (auto sound = out.validate(); !sound)
    return fail("the change of the configuration cannot be made", sound.error());
  return out;
}

std::string Configuration::describe() const
{
  std::string out;
  append(out, "voters", voters);
  append(out, "outgoing voters", voters_outgoing);
  append(out, "learners", learners);
  append(out, "next learners", learners_next);
  return out;
}
}
