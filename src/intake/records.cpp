#include "intake/records.h"

#include "intake/cells.h"
#include "intake/contradictions.h"
#include "intake/encoding.h"
#include "intake/readers.h"

#include <algorithm>

namespace concordat::intake
{
namespace
{
std::string name_without_packing(std::string_view name)
{
  std::string out(name);
  std::transform(
      out.begin(), out.end(), out.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  for (const std::string_view packing : {".gz", ".zst", ".zstd", ".gzip"})
    if (out.ends_with(packing))
      return out.substr(0, out.size() - packing.size());
  return out;
}

Attempt<void> check_options(const InputOptions& options)
{
  std::string known;
  for (const auto& kind : suspicion_kinds)
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  for (const auto* names : {&options.accept, &options.skip})
    for (const auto& name : *names)
      if (!is_suspicion_kind(name))
        return std::unexpected(Problem{"there is nothing that is called " + name, "the kinds are: " + known, true});
  if (!options.format.empty() && options.format != "csv" && options.format != "json" && options.format != "ndjson")
    return std::unexpected(Problem{"the format must be csv, json or ndjson", {}, true});
  return {};
}

Format format_of(const InputOptions& options, std::string_view text)
{
  if (options.format == "csv")
    return Format::csv;
  if (options.format == "json")
    return Format::json;
  return options.format == "ndjson" ? Format::ndjson : guess_format(options.file, text);
}

/// Both a single record and a record a line begin with a brace; only the former is one JSON value.
Format json_or_lines(std::string_view text)
{
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || text[begin] != '{' || is_json(text))
    return Format::json;
  return is_json(text.substr(begin, text.find('\n', begin) - begin)) ? Format::ndjson : Format::json;
}
}

void RecordCheck::add(InputRecord record)
{
  const auto bad_key = reconciliation::refuse_key(record.key);
  const auto bad_value = reconciliation::refuse_value(record.value);
  if (bad_key)
    findings_.refuse(record, key_name_, *bad_key);
  if (bad_value)
    findings_.refuse(record, value_name_, *bad_value);
  if (bad_key || bad_value)
    return;
  bool kept = true;
  const auto look = [&](std::string_view text, Cell cell, const std::string& name)
  {
    if (const auto found = look_at_cell(text, cell))
      kept = findings_.suspect(found->kind, record, name, found->what, text) == Findings::Verdict::keep && kept;
  };
  look(record.key, Cell::key, key_name_);
  if (kept && record.value.empty() && empty_is_suspicious_)
    kept = findings_.suspect("empty", record, value_name_, "the row has no value") == Findings::Verdict::keep;
  if (kept)
    look(record.value, Cell::value, value_name_);
  if (kept)
    out_.records.push_back(record);
}

Format guess_format(std::string_view name, std::string_view text)
{
  const auto plain = name_without_packing(name);
  for (const std::string_view ending : {".csv", ".tsv", ".tab", ".psv"})
    if (plain.ends_with(ending))
      return Format::csv;
  if (plain.ends_with(".ndjson") || plain.ends_with(".jsonl"))
    return Format::ndjson;
  if (plain.ends_with(".json"))
    return json_or_lines(text);
  if (text.starts_with('\x1e'))
    return Format::ndjson;
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || (text[begin] != '[' && text[begin] != '{'))
    return Format::csv;
  return json_or_lines(text);
}

Attempt<Records> read_records_of(InputBytes text, const InputOptions& options, const reconciliation::Schema& schema)
{
  if (auto fine = check_options(options); !fine)
    return std::unexpected(fine.error());
  Records records;
  records.format = format_of(options, text.view());
  records.text = std::move(text);
  Findings findings(options);
  auto read = records.format == Format::csv ? read_csv(records, findings, options, schema)
                                            : read_json(records, findings, options, schema);
  if (!read)
    return std::unexpected(read.error());
  find_odd_keys(records.records, findings, schema);
  find_contradictions(records.records, findings, schema);
  if (auto fine = findings.result(); !fine)
    return std::unexpected(fine.error());
  records.skipped = findings.skipped();
  if (records.records.empty())
    return refuse("the input holds no records");
  return records;
}

Attempt<Records> read_records(const InputOptions& options, const reconciliation::Schema& schema)
{
  if (auto fine = check_options(options); !fine)
    return std::unexpected(fine.error());
  auto bytes = read_input(options.file);
  if (!bytes)
    return std::unexpected(bytes.error());
  auto text = to_utf8(std::move(*bytes), options.encoding);
  if (!text)
    return std::unexpected(text.error());
  return read_records_of(std::move(*text), options, schema);
}
}
