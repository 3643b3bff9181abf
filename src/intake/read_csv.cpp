#include "intake/cells.h"
#include "intake/dialect.h"
#include "intake/readers.h"
#include "reconciliation/text_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace concordat::intake
{
namespace
{
using reconciliation::CsvReader;

class CsvRows
{
public:
  CsvRows(Records& out, Findings& findings, const Dialect& dialect)
      : out_(out),
        findings_(findings),
        dialect_(dialect),
        key_name_(reconciliation::folded(dialect.header[dialect.key])),
        value_name_(reconciliation::folded(dialect.header[dialect.value])),
        check_(out, findings, dialect.header[dialect.key], dialect.header[dialect.value], true)
  {
  }

  void before_header(const std::vector<std::string_view>& row, std::uint64_t line)
  {
    if (!is_blank(row))
      findings_.suspect("preamble", {{}, {}, 0, line}, {}, "stands before the header and is no record", row[0]);
  }

  void row(const std::vector<std::string_view>& row, std::uint64_t line)
  {
    if (is_blank(row))
      return;
    const InputRecord place{{}, {}, ++number_, line};
    if (!has_right_length(row, place))
      return;
    // The reader's text stands in the input, but for fields with doubled quotes, which live as long as the reader.
    const auto key = kept(without_formula_if_accepted(row[dialect_.key], place, dialect_.key));
    const auto value = kept(without_formula_if_accepted(row[dialect_.value], place, dialect_.value));
    if (dropped_)
    {
      dropped_ = false;
      return;
    }
    if (is_header(key, value))
    {
      findings_.suspect("header", place, {}, "is the header again");
      return;
    }
    check_.add({key, value, number_, line});
  }

private:
  bool has_right_length(const std::vector<std::string_view>& row, const InputRecord& place)
  {
    const auto wanted = dialect_.header.size();
    const bool rest_is_blank = row.size() > wanted && std::all_of(
                                                          row.begin() + static_cast<std::ptrdiff_t>(wanted), row.end(),
                                                          [](std::string_view field) { return is_blank(field); });
    if (row.size() < wanted || (row.size() > wanted && !rest_is_blank))
    {
      findings_.unusable(
          "fields", place,
          fmt::format(
              "the row has {} {}, the header has {}{}", row.size(), row.size() == 1 ? "field" : "fields", wanted,
              row.size() > wanted ? "; a text that holds the separator needs quotes around it" : ""));
      return false;
    }
    if (dialect_.other_columns_ignored)
      return true;
    for (std::size_t i = 0; i < wanted; ++i)
      if (i != dialect_.key && i != dialect_.value && !is_blank(row[i]))
      {
        findings_.refuse(place, {}, fmt::format("field {} has a text, but its column has no name", i + 1));
        return false;
      }
    return true;
  }

  std::string_view without_formula_if_accepted(std::string_view field, const InputRecord& place, std::size_t column)
  {
    const auto inside = without_formula(field);
    if (inside.size() == field.size())
      return field;
    const auto verdict =
        findings_.suspect("formula", place, dialect_.header[column], "is written as a formula of a spreadsheet", field);
    dropped_ = dropped_ || verdict == Findings::Verdict::skip;
    return inside;
  }

  std::string_view kept(std::string_view field)
  {
    const auto text = out_.text.view();
    const std::less<const char*> before;
    if (field.empty() || (!before(field.data(), text.data()) && before(field.data(), text.data() + text.size())))
      return field;
    return out_.owned.emplace_back(field);
  }

  bool is_header(std::string_view key, std::string_view value) const
  {
    return key.size() <= 4 * key_name_.size() + 16 && reconciliation::folded(key) == key_name_ &&
           reconciliation::folded(value) == value_name_;
  }

  Records& out_;
  Findings& findings_;
  const Dialect& dialect_;
  std::string key_name_;
  std::string value_name_;
  RecordCheck check_;
  std::uint64_t number_ = 0;
  bool dropped_ = false;
};
}

Attempt<void>
read_csv(Records& out, Findings& findings, const InputOptions& options, const reconciliation::Schema& schema)
{
  const auto dialect = find_dialect(out.text.view(), options, schema);
  if (!dialect)
    return std::unexpected(dialect.error());
  CsvReader reader(out.text.view().substr(dialect->skip), dialect->csv);
  CsvRows rows(out, findings, *dialect);
  CsvReader::Next next;
  std::uint64_t number = 0;
  while ((next = reader.next()) == CsvReader::Next::row)
  {
    const auto line = reader.line() + dialect->skipped_lines;
    if (number < dialect->rows_before)
      rows.before_header(reader.fields(), line);
    else if (number > dialect->rows_before)
      rows.row(reader.fields(), line);
    ++number;
  }
  if (next == CsvReader::Next::error)
    return refuse(
        fmt::format(
            "the input is not CSV: line {}, byte {}: {}", reader.error().line + dialect->skipped_lines,
            reader.error().column, reader.error().reason),
        "nothing was sent; correct the file, or say what it is with --format");
  return {};
}
}
