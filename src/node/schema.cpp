#include "node/schema.h"

#include "net/address.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>
#include <utility>

namespace concordat::node
{
namespace
{
using Unit = std::pair<std::string_view, std::uint64_t>;

constexpr Unit size_units[] = {
    {"B", 1},
    {"KB", std::uint64_t{1} << 10},
    {"MB", std::uint64_t{1} << 20},
    {"GB", std::uint64_t{1} << 30},
    {"TB", std::uint64_t{1} << 40},
    {"PB", std::uint64_t{1} << 50}};
constexpr Unit duration_units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1'000'000}, {"min", 60'000'000}, {"h", 3'600'000'000}};

Result<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units)
{
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc{})
  {
    const std::string_view unit(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
    for (const auto& [name, factor] : units)
      if (unit == name && number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor)
        return number * factor;
  }
  std::string names;
  for (const auto& unit : units)
    names += (names.empty() ? "" : ", ") + std::string(unit.first);
  return fail(
      ErrorCode::invalid,
      "'" + std::string(text.substr(0, 40)) + "' is not a whole number with one of the units " + names);
}

std::unexpected<Error> wrong(const std::string& path, const std::string& must)
{
  return fail(ErrorCode::invalid, (path.empty() ? "the configuration" : "'" + path + "'") + " must be " + must);
}

std::string below(const std::string& path, std::string_view name)
{
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

Result<void> check_object(const Rule& rule, const boost::json::value& value, const std::string& path)
{
  const auto* const object = value.if_object();
  if (!object)
    return wrong(path, "an object");
  for (const auto& [key, member] : *object)
  {
    const auto* const found = rule.kind == Rule::Kind::named
                                ? rule.members.data()
                                : std::find_if(
                                      rule.members.data(), rule.members.data() + rule.members.size(),
                                      [&](const Rule& candidate) { return candidate.name == std::string_view(key); });
    if (found == rule.members.data() + rule.members.size())
      return fail(ErrorCode::invalid, "'" + below(path, key) + "' is not a key of the configuration");
    if (member.is_null())
      continue;
    if (auto good = check_against(*found, member, below(path, key)); !good)
      return good;
  }
  if (rule.kind == Rule::Kind::object)
    for (const auto& member : rule.members)
      if (const auto* const given = object->if_contains(member.name); member.required && (!given || given->is_null()))
        return fail(ErrorCode::invalid, "'" + below(path, member.name) + "' is missing");
  return {};
}
}

Result<std::uint64_t> parse_size(std::string_view text)
{
  return parse_with_unit(text, size_units);
}

Result<std::uint64_t> parse_duration(std::string_view text)
{
  return parse_with_unit(text, duration_units);
}

Result<void> check_against(const Rule& rule, const boost::json::value& value, const std::string& path)
{
  const auto* const text = value.if_string();
  switch (rule.kind)
  {
  case Rule::Kind::text:
    return text ? Result<void>{} : wrong(path, "a text");
  case Rule::Kind::path:
    return text && !text->empty() && text->find('\0') == text->npos ? Result<void>{}
                                                                    : wrong(path, "the path of a file");
  case Rule::Kind::address:
  {
    if (!text)
      return wrong(path, "an address of the form host:port");
    const auto address = net::split_address(std::string(*text));
    return address ? Result<void>{} : fail("'" + path + "' is wrong", address.error());
  }
  case Rule::Kind::boolean:
    return value.is_bool() ? Result<void>{} : wrong(path, "true or false");
  case Rule::Kind::count:
    return value.is_int64() && value.get_int64() >= rule.least && value.get_int64() <= rule.most
             ? Result<void>{}
             : wrong(path, "a whole number from " + std::to_string(rule.least) + " to " + std::to_string(rule.most));
  case Rule::Kind::size:
  case Rule::Kind::duration:
  {
    if (!text)
      return wrong(path, rule.kind == Rule::Kind::size ? "a size such as \"5MB\"" : "a time such as \"100ms\"");
    const auto parsed = rule.kind == Rule::Kind::size ? parse_size(*text) : parse_duration(*text);
    return parsed ? Result<void>{} : fail("'" + path + "' is wrong", parsed.error());
  }
  case Rule::Kind::choice:
  {
    std::string names;
    for (const auto& choice : rule.choices)
    {
      if (text && std::string_view(*text) == choice)
        return {};
      names += (names.empty() ? "" : ", ") + std::string(choice);
    }
    return wrong(path, "one of " + names);
  }
  case Rule::Kind::object:
  case Rule::Kind::named:
    return check_object(rule, value, path);
  case Rule::Kind::list:
  {
    const auto* const list = value.if_array();
    if (!list)
      return wrong(path, "a list");
    for (std::size_t i = 0; i < list->size(); ++i)
      if (auto good = check_against(rule.members[0], (*list)[i], path + "[" + std::to_string(i) + "]"); !good)
        return good;
    return {};
  }
  case Rule::Kind::anything:
    break;
  }
  return {};
}
}
