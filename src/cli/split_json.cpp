#include "cli/split_json.h"

#include <simdjson.h>

#include <algorithm>
#include <vector>

namespace concordat::cli
{
namespace
{
constexpr std::size_t max_json_size = std::size_t{512} << 20;
constexpr std::string_view white_space = " \t\r\n";

std::string_view trimmed(std::string_view text)
{
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

std::string_view without_mark(std::string_view text)
{
  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);
  return text;
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

class JsonSplitter : public Splitter
{
public:
  JsonSplitter(std::vector<std::string_view> records, PartLimits limits) : records_(std::move(records)), limits_(limits)
  {
  }

  void rewind() override
  {
    at_ = 0;
  }

  std::optional<Part> next() override
  {
    if (at_ == records_.size())
      return std::nullopt;
    Part part;
    part.first_record = at_ + 1;
    part.body = '[';
    do
    {
      if (part.records > 0)
        part.body += ',';
      part.body += records_[at_];
      ++part.records;
      ++at_;
    } while (at_ < records_.size() && part.records < limits_.records &&
             part.body.size() + records_[at_].size() + 2 <= limits_.bytes);
    part.body += ']';
    return part;
  }

  std::uint64_t total_records() const override
  {
    return records_.size();
  }
  std::string target() const override
  {
    return "/app/ingest";
  }
  std::string content_type() const override
  {
    return "application/json";
  }

private:
  std::vector<std::string_view> records_;
  PartLimits limits_;
  std::size_t at_ = 0;
};

Attempt<std::vector<std::string_view>> lines_of(std::string_view text)
{
  std::vector<std::string_view> records;
  simdjson::dom::parser parser;
  std::uint64_t number = 0;
  while (!text.empty())
  {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty())
      continue;
    if (const auto error = parser.parse(line.data(), line.size()).error())
      return refuse(
          Exit::failed,
          "line " + std::to_string(number) + " of the input is not JSON: " + simdjson::error_message(error),
          "nothing was sent; correct the file, or say what it is with --format");
    records.push_back(line);
  }
  return records;
}
}

bool is_json(std::string_view text)
{
  text = without_mark(text);
  simdjson::dom::parser parser;
  return text.size() <= max_json_size && parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

Attempt<std::unique_ptr<Splitter>> split_json(std::string_view text, InputFormat format, PartLimits limits)
{
  text = without_mark(text);
  if (format == InputFormat::ndjson)
  {
    auto records = lines_of(text);
    if (!records)
      return std::unexpected(records.error());
    return std::make_unique<JsonSplitter>(std::move(*records), limits);
  }

  if (text.size() > max_json_size)
    return refuse(
        Exit::failed, "the input is too large for one JSON text", "send it as CSV or as NDJSON (one record a line)");
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root))
    return refuse(
        Exit::failed, std::string("the input is not JSON: ") + simdjson::error_message(error),
        "nothing was sent; correct the file, or say what it is with --format");
  text = trimmed(text);
  if (root.is_array())
    return std::make_unique<JsonSplitter>(elements_of(text), limits);
  return std::make_unique<JsonSplitter>(std::vector<std::string_view>{text}, limits);
}
}
