#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
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

Result<boost::json::value> parse_json(std::string_view text)
{
  boost::json::parse_options options;
  options.max_depth = max_nesting;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  const auto read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size())
    return fail(ErrorCode::invalid, "something follows the JSON value at position " + std::to_string(read));
  if (!error)
    parser.finish(error);
  if (error)
    return fail(ErrorCode::invalid, "not JSON near position " + std::to_string(read) + ": " + error.message());
  return parser.release();
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
