#include "cli/submission_parts.h"

#include "cli/split_csv.h"
#include "cli/split_json.h"

namespace concordat::cli
{
InputFormat guess_format(std::string_view name, std::string_view text)
{
  if (name.ends_with(".csv"))
    return InputFormat::csv;
  if (name.ends_with(".json"))
    return InputFormat::json;
  if (name.ends_with(".ndjson") || name.ends_with(".jsonl"))
    return InputFormat::ndjson;

  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || (text[begin] != '[' && text[begin] != '{'))
    return InputFormat::csv;
  // Both a single record and a record a line begin with a brace; only the former is one JSON value.
  return text[begin] == '[' || is_json(text) ? InputFormat::json : InputFormat::ndjson;
}

Attempt<std::unique_ptr<Splitter>> Splitter::open(std::string_view text, InputFormat format, PartLimits limits)
{
  Attempt<std::unique_ptr<Splitter>> splitter =
      format == InputFormat::csv ? split_csv(text, limits) : split_json(text, format, limits);
  if (splitter && (*splitter)->total_records() == 0)
    return refuse(Exit::failed, "the input holds no records");
  return splitter;
}
}
