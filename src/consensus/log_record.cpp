#include "consensus/log_record.h"

#include <boost/json.hpp>

namespace concordat::consensus
{
namespace
{
boost::json::array ids(const std::vector<EngineId>& from)
{
  boost::json::array out;
  for (const auto id : from)
    out.emplace_back(id);
  return out;
}

bool read_ids(const boost::json::object& object, std::string_view name, std::vector<EngineId>& into)
{
  const auto* const list = object.if_contains(name);
  if (!list || !list->is_array() || list->get_array().size() > Configuration::max_members)
    return false;
  for (const auto& id : list->get_array())
  {
    boost::system::error_code wrong;
    into.push_back(id.to_number<EngineId>(wrong));
    if (wrong)
      return false;
  }
  return true;
}

bool read_opened(const boost::json::object& object, std::vector<OpenedTerm>& into)
{
  const auto* const list = object.if_contains("opened");
  if (!list || !list->is_array() || list->get_array().size() > LogRecord::max_opened)
    return false;
  for (const auto& one : list->get_array())
  {
    if (!one.is_array() || one.get_array().size() != 2)
      return false;
    boost::system::error_code no_term;
    boost::system::error_code no_index;
    into.push_back({one.get_array()[0].to_number<View>(no_term), one.get_array()[1].to_number<Index>(no_index)});
    if (no_term || no_index)
      return false;
  }
  return true;
}

/// @return false for what is no change
bool read_change(const boost::json::object& object, std::optional<ConfigurationChange>& into)
{
  const auto* const list = object.if_contains("change");
  if (!list)
    return true;
  if (!list->is_array() || list->get_array().size() > ConfigurationChange::max_members)
    return false;
  into.emplace();
  for (const auto& one : list->get_array())
  {
    if (!one.is_array() || one.get_array().size() != 2)
      return false;
    boost::system::error_code no_id;
    boost::system::error_code no_role;
    const auto id = one.get_array()[0].to_number<EngineId>(no_id);
    const auto role = one.get_array()[1].to_number<std::uint8_t>(no_role);
    if (no_id || no_role || role > static_cast<std::uint8_t>(Role::voter))
      return false;
    into->members.push_back({id, static_cast<Role>(role)});
  }
  return into->validate().has_value();
}
}

std::string LogRecord::to_json() const
{
  boost::json::array terms;
  for (const auto& [term, at] : opened)
    terms.push_back(boost::json::array{term, at});
  boost::json::object object{
      {"index", index},
      {"learners", ids(configuration.learners)},
      {"learners_next", ids(configuration.learners_next)},
      {"opened", std::move(terms)},
      {"voters", ids(configuration.voters)},
      {"voters_outgoing", ids(configuration.voters_outgoing)}};
  if (change)
  {
    auto& members = object["change"].emplace_array();
    for (const auto& [id, role] : change->members)
      members.push_back(boost::json::array{id, static_cast<unsigned>(role)});
  }
  return boost::json::serialize(object);
}

Result<LogRecord> LogRecord::from_json(std::string_view json)
{
  const auto wrong = [] { return fail(ErrorCode::corrupt, "the place in the log of consensus is not readable"); };
  boost::system::error_code failed;
  const auto value = boost::json::parse(json, failed);
  if (failed || !value.is_object())
    return wrong();
  const auto& object = value.get_object();
  LogRecord record;
  const auto* const index = object.if_contains("index");
  if (index)
    record.index = index->to_number<Index>(failed);
  if (!index || failed || !read_change(object, record.change) || (record.index == 0) != record.change.has_value())
    return wrong();
  if (!read_opened(object, record.opened))
    return wrong();
  auto& who = record.configuration;
  if (!read_ids(object, "voters", who.voters) || !read_ids(object, "learners", who.learners) ||
      !read_ids(object, "voters_outgoing", who.voters_outgoing) ||
      !read_ids(object, "learners_next", who.learners_next))
    return wrong();
  // What the change has led to says how it was made.
  if (auto& change = record.change; change && change->members.size() == 1)
    change->joint_alone = who.joint();
  if (auto good = who.validate(); !good)
    return fail("the place in the log of consensus", good.error());
  return record;
}
}
