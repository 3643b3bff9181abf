#include "cli/refused_rows.h"

#include "cli/console.h"

#include <boost/json/parse.hpp>

#include <optional>

namespace concordat::cli
{
namespace
{
/// So many lines are enough to see what is wrong with a file.
constexpr std::size_t max_lines = 10;

std::optional<std::uint64_t> number_of(const boost::json::object& object, const char* key)
{
  const auto* const value = object.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 1)
    return std::nullopt;
  return static_cast<std::uint64_t>(value->get_int64());
}

std::string text_of(const boost::json::object& object, const char* key)
{
  const auto* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? printable(std::string_view(value->get_string())) : "";
}

std::string describe(const boost::json::object& bad, const Part& part, const std::vector<intake::InputRecord>& records)
{
  const auto row = number_of(bad, "row");
  std::string text = row ? "  record of the request " + grouped(*row) : "  the header";
  if (row && *row <= part.records && part.first + *row <= records.size())
  {
    const auto& record = records[part.first + *row - 1];
    text = "  record " + grouped(record.number) + " (line " + grouped(record.line) + ")";
  }
  if (const auto column = text_of(bad, "column"); !column.empty())
    text += ", " + column;
  return text + ": " + text_of(bad, "reason") + "\n";
}
}

std::string
describe_refused_rows(std::string_view body, const Part& part, const std::vector<intake::InputRecord>& records)
{
  boost::system::error_code code;
  const auto answer = boost::json::parse(boost::json::string_view(body.data(), body.size()), code);
  if (code || !answer.is_object())
    return {};
  const auto* const error = answer.get_object().if_contains("error");
  const auto* const details =
      error != nullptr && error->is_object() ? error->get_object().if_contains("details") : nullptr;
  if (details == nullptr || !details->is_array())
    return {};

  std::string text;
  std::size_t lines = 0;
  for (const auto& bad : details->get_array())
  {
    if (!bad.is_object())
      continue;
    if (++lines > max_lines)
      return text + "  and more\n";
    text += describe(bad.get_object(), part, records);
  }
  return text;
}
}
