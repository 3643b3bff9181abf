#include "reconciliation/csv.h"
#include "reconciliation/ingest.h"

#include <algorithm>

namespace concordat::reconciliation
{
namespace
{
/// Where the fields of the schema stand in each row.
struct Columns
{
  std::size_t key = 0;
  std::size_t value = 0;
};

/// What separates the fields of the schema instead of commas, if that is what is wrong. Never text of the body.
std::string_view likely_separator(const Schema& schema, const std::vector<std::string_view>& names)
{
  if (names.size() != 1 || names[0].find(schema.key_field) == std::string_view::npos ||
      names[0].find(schema.value_field) == std::string_view::npos)
    return {};
  for (const auto& [separator, name] : {std::pair(';', "semicolons"), std::pair('\t', "tabs"), std::pair('|', "bars")})
    if (names[0].find(separator) != std::string_view::npos)
      return name;
  return {};
}

std::expected<Columns, Refusal> read_header(const Schema& schema, const std::vector<std::string_view>& names)
{
  Refusal refusal;
  const auto separator = likely_separator(schema, names);
  const auto find = [&](const std::string& name)
  {
    const auto count = std::count(names.begin(), names.end(), name);
    if (count != 1)
      refusal.add(
          {.row = 0,
           .line = 1,
           .column = name,
           .reason = count != 0 ? "the column stands more than once"
                   : separator.empty()
                       ? "the column is missing"
                       : "the column is missing; separate columns with commas, not with " + std::string(separator)});
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const Columns columns{find(schema.key_field), find(schema.value_field)};
  if (!refusal.any_row() && names.size() != 2)
    refusal.add(
        {.row = 0,
         .line = 1,
         .column = "",
         .reason = "there are columns that the schema does not have; it has " + schema.key_field + " and " +
                   schema.value_field});
  if (refusal.any_row())
    return std::unexpected(std::move(refusal));
  return columns;
}

Refusal not_csv(const CsvReader::Error& error)
{
  return Refusal(
      "the body is not CSV: line " + std::to_string(error.line) + ", byte " + std::to_string(error.column) + ": " +
      error.reason);
}
}

Parsed parse_csv(const Schema& schema, std::string_view body)
{
  const auto reader = std::make_shared<CsvReader>(body);
  switch (reader->next())
  {
  case CsvReader::Next::error:
    return std::unexpected(not_csv(reader->error()));
  case CsvReader::Next::end:
    return std::unexpected(
        Refusal("the body is empty; send a header (" + schema.key_field + "," + schema.value_field + ") and rows"));
  case CsvReader::Next::row:
    break;
  }
  const auto columns = read_header(schema, reader->fields());
  if (!columns)
    return std::unexpected(columns.error());

  Batch batch;
  batch.memory = reader;
  Refusal refusal;
  std::uint64_t row = 0;
  const auto refuse = [&](const std::string& column, std::string reason)
  { refusal.add({.row = row, .line = reader->line(), .column = column, .reason = std::move(reason)}); };

  CsvReader::Next next;
  while ((next = reader->next()) == CsvReader::Next::row)
  {
    const auto& fields = reader->fields();
    // What has nothing in any field is no record: spreadsheets leave such lines at the end.
    if (std::all_of(fields.begin(), fields.end(), [](std::string_view field) { return field.empty(); }))
      continue;
    ++row;
    if (fields.size() != 2)
    {
      refuse("", "the row has " + std::to_string(fields.size()) + " fields, the header has 2");
      continue;
    }
    const Record record{fields[columns->key], fields[columns->value], reader->line()};
    auto bad_key = refuse_key(record.key);
    auto bad_value = refuse_value(record.value);
    if (!bad_key && !bad_value)
      batch.records.push_back(record);
    if (bad_key)
      refuse(schema.key_field, std::move(*bad_key));
    if (bad_value)
      refuse(schema.value_field, std::move(*bad_value));
  }
  if (next == CsvReader::Next::error)
    return std::unexpected(not_csv(reader->error()));
  if (refusal.any_row())
    return std::unexpected(std::move(refusal));
  if (batch.records.empty())
    return std::unexpected(Refusal("there are no rows in the body, only the header; send at least one record"));
  return batch;
}
}
