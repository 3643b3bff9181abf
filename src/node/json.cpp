#include "node/json.h"

#include "concordat/json_place.h"

#include <boost/json.hpp>

#include <algorithm>
#include <set>
#include <vector>

namespace concordat::node
{
namespace
{
constexpr std::size_t max_nesting = 32;

void append(const boost::json::value& value, std::string& out)
{
  if (const auto* const object = value.if_object())
  {
    std::vector<const boost::json::key_value_pair*> members;
    for (const auto& member : *object)
      members.push_back(&member);
    std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key() < b->key(); });
    out.push_back('{');
    for (const auto* const member : members)
    {
      if (out.back() != '{')
        out.push_back(',');
      out += boost::json::serialize(member->key());
      out.push_back(':');
      append(member->value(), out);
    }
    out.push_back('}');
  }
  else if (const auto* const array = value.if_array())
  {
    out.push_back('[');
    for (const auto& element : *array)
    {
      if (&element != array->data())
        out.push_back(',');
      append(element, out);
    }
    out.push_back(']');
  }
  else
    out += boost::json::serialize(value);
}
}

std::string to_canonical_json(const boost::json::value& value)
{
  std::string out;
  append(value, out);
  return out;
}

std::string place_in(std::string_view text, std::size_t position)
{
  const auto before = text.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto begin = before.rfind('\n');
  const auto column = 1 + before.size() - (begin == before.npos ? 0 : begin + 1);
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

Result<boost::json::value> parse_json(std::string_view text)
{
  boost::json::parse_options options;
  options.max_depth = max_nesting;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  const auto read = parser.write_some(text.data(), text.size(), error);
  if (!error)
    parser.finish(error);
  if (!error && read == text.size())
    return parser.release();
  if (const auto mistake = find_json_mistake(text))
    return fail(ErrorCode::invalid, "not JSON: " + mistake->describe());
  return fail(ErrorCode::invalid, "JSON that is not read here, " + place_in(text, read) + ": " + error.message());
}

std::optional<std::string> twice_named_key(std::string_view text)
{
  std::vector<std::set<std::string>> open; // the keys of the objects that are not closed yet; lists have none
  for (std::size_t at = 0; at < text.size(); ++at)
  {
    if (text[at] == '{' || text[at] == '[')
      open.emplace_back();
    else if (text[at] == '}' || text[at] == ']')
      open.pop_back();
    if (text[at] != '"')
      continue;
    const auto begin = at + 1;
    for (at = begin; text[at] != '"'; ++at)
      at += text[at] == '\\' ? 1 : 0;
    const auto written = text.substr(begin, at - begin);
    const auto next = text.find_first_not_of(" \t\r\n", at + 1);
    if (next == text.npos || text[next] != ':')
      continue;
    auto key = std::string(written);
    if (written.find('\\') != written.npos)
      key = boost::json::parse("\"" + key + "\"").as_string();
    if (!open.back().insert(key).second)
      return "the key '" + key + "' stands a second time in its object at " + place_in(text, begin - 1);
  }
  return std::nullopt;
}

void remove_nulls(boost::json::value& value)
{
  if (auto* const object = value.if_object())
  {
    for (auto member = object->begin(); member != object->end();)
      if (member->value().is_null())
        member = object->erase(member);
      else
        remove_nulls((member++)->value());
  }
  else if (auto* const array = value.if_array())
    for (auto& element : *array)
      remove_nulls(element);
}

std::optional<boost::json::object> read_object(ReadTransaction& state, std::string_view table, std::string_view key)
{
  const auto text = state.get(table, key);
  if (!text)
    return std::nullopt;
  auto value = parse_json(*text);
  if (!value || !value->is_object())
    return std::nullopt;
  return std::move(value->get_object());
}

std::string string_member(const boost::json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}
}
