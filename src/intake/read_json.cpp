#include "concordat/json_place.h"
#include "intake/readers.h"
#include "reconciliation/text_rules.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <optional>

namespace concordat::intake
{
namespace
{
namespace dom = simdjson::dom;

constexpr std::size_t max_json_size = std::size_t{512} << 20;
constexpr std::string_view white_space = " \t\r\n";
constexpr auto not_sent = "nothing was sent; correct the file, or say what it is with --format";

std::string_view trimmed(std::string_view text)
{
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

/// Where elements of an array lie in text that is known to be JSON.
std::vector<std::string_view> elements_of(std::string_view array)
{
  std::vector<std::string_view> elements;
  std::size_t begin = 1;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < array.size(); ++i)
  {
    const char c = array[i];
    if (in_string)
    {
      if (c == '\\')
        ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if (c == '[' || c == '{')
      ++depth;
    const bool closing = c == ']' || c == '}';
    if ((c == ',' && depth == 1) || (closing && depth == 1))
    {
      if (const auto element = trimmed(array.substr(begin, i - begin)); !element.empty())
        elements.push_back(element);
      begin = i + 1;
    }
    if (closing)
      --depth;
  }
  return elements;
}

const char* type_name(dom::element_type type)
{
  switch (type)
  {
  case dom::element_type::ARRAY:
    return "an array";
  case dom::element_type::OBJECT:
    return "an object";
  case dom::element_type::STRING:
    return "a string";
  case dom::element_type::BOOL:
    return "a boolean";
  case dom::element_type::NULL_VALUE:
    return "null";
  default:
    return "a number";
  }
}

/// Turns the text of one record into a record.
class JsonRecords
{
public:
  JsonRecords(Records& out, Findings& findings, const InputOptions& options, const reconciliation::Schema& schema)
      : out_(out),
        findings_(findings),
        key_name_(options.key_column.empty() ? schema.key_field : options.key_column),
        value_name_(options.value_column.empty() ? schema.value_field : options.value_column),
        others_ignored_(!options.key_column.empty() || !options.value_column.empty()),
        check_(out, findings, key_name_, value_name_, false)
  {
  }

  /// @param element a part of the text that is one JSON value
  void add(std::string_view element)
  {
    const auto before = out_.text.view().substr(0, static_cast<std::size_t>(element.data() - out_.text.view().data()));
    line_ += static_cast<std::uint64_t>(
        std::count(before.begin() + static_cast<std::ptrdiff_t>(counted_), before.end(), '\n'));
    counted_ = before.size();
    const InputRecord place{{}, {}, ++number_, line_};
    dom::element root;
    if (const auto error = parser_.parse(element.data(), element.size()).get(root))
    {
      const auto obstacle = find_json_obstacle(element);
      return findings_.refuse(place, {}, obstacle ? obstacle->reason : simdjson::error_message(error));
    }
    dom::object object;
    if (root.get(object) != simdjson::SUCCESS)
      return findings_.refuse(place, {}, std::string("a record must be an object, not ") + type_name(root.type()));
    take(object, place);
  }

private:
  struct Field
  {
    int seen = 0;
    dom::element element;
  };

  void take(dom::object object, const InputRecord& place)
  {
    Field key;
    Field value;
    std::string others;
    for (const auto field : object)
      if (is(field.key, key_name_))
        key = {key.seen + 1, field.value};
      else if (is(field.key, value_name_))
        value = {value.seen + 1, field.value};
      else
        others += (others.empty() ? "" : ", ") + std::string(field.key.substr(0, 60));
    if (!others.empty() && !others_ignored_)
      findings_.refuse(
          place, {},
          "the record has fields that would not be submitted: " + others.substr(0, 200) +
              "; --key-column and --value-column say which are meant");
    const auto key_text = text_of(key, key_name_, place);
    const auto value_text = text_of(value, value_name_, place);
    if (key_text && value_text)
      check_.add({out_.owned.emplace_back(*key_text), out_.owned.emplace_back(*value_text), place.number, place.line});
  }

  static bool is(std::string_view field, const std::string& name)
  {
    return field == name ||
           (field.size() < name.size() + 20 && reconciliation::folded(field) == reconciliation::folded(name));
  }

  std::optional<std::string_view> text_of(const Field& field, const std::string& name, const InputRecord& place)
  {
    std::string_view text;
    if (field.seen == 0)
      findings_.refuse(place, name, "the field is missing");
    else if (field.seen > 1)
      findings_.refuse(place, name, "the field stands more than once");
    else if (field.element.get(text) != simdjson::SUCCESS)
      findings_.refuse(place, name, std::string("must be a string, not ") + type_name(field.element.type()));
    else
      return text;
    return std::nullopt;
  }

  Records& out_;
  Findings& findings_;
  std::string key_name_;
  std::string value_name_;
  bool others_ignored_;
  RecordCheck check_;
  dom::parser parser_;
  std::uint64_t number_ = 0;
  std::uint64_t line_ = 1;
  std::size_t counted_ = 0;
};

Attempt<void> read_lines(std::string_view text, JsonRecords& records)
{
  dom::parser parser;
  std::uint64_t number = 0;
  while (!text.empty())
  {
    const auto end = std::min(text.find('\n'), text.size());
    // RFC 7464 puts a record separator in front of each text.
    auto line = trimmed(text.substr(0, end));
    if (line.starts_with('\x1e'))
      line = trimmed(line.substr(1));
    const auto before = static_cast<std::size_t>(line.data() - text.data());
    ++number;
    if (!line.empty())
    {
      if (const auto mistake = find_json_obstacle(line))
        return refuse(
            fmt::format(
                "the input is not JSON: line {}, column {}: {}", number, before + mistake->column, mistake->reason),
            not_sent);
      records.add(line);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

std::unexpected<Problem> not_json(std::string_view text, simdjson::error_code error)
{
  const auto mistake = find_json_obstacle(text);
  return refuse(
      "the input is not JSON: " + (mistake ? mistake->describe() : std::string(simdjson::error_message(error))),
      not_sent);
}
}

bool is_json(std::string_view text)
{
  dom::parser parser;
  return text.size() <= max_json_size && parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

Attempt<void>
read_json(Records& out, Findings& findings, const InputOptions& options, const reconciliation::Schema& schema)
{
  const auto text = out.text.view();
  JsonRecords records(out, findings, options, schema);
  if (trimmed(text).empty())
    return {};
  if (out.format == Format::ndjson)
    return read_lines(text, records);
  if (text.size() > max_json_size)
    return refuse(
        fmt::format("the input is larger than the limit of {} bytes for one JSON text", max_json_size),
        "send it as CSV or as NDJSON (one record a line)");
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root))
    return not_json(text, error);
  if (!root.is_array())
  {
    records.add(trimmed(text));
    return {};
  }
  for (const auto element : elements_of(trimmed(text)))
    records.add(element);
  return {};
}
}
