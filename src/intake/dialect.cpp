#include "intake/dialect.h"

#include "intake/cells.h"

#include "reconciliation/text_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace concordat::intake
{
namespace
{
using reconciliation::CsvReader;

constexpr std::size_t max_fields = 16'384;
/// The header stands among so many first rows, or is taken for missing.
constexpr std::size_t rows_to_look_at = 20;
constexpr std::size_t sample_size = 8 << 20;
constexpr std::size_t listed_columns = 20;

struct Wanted
{
  std::string key;
  std::string value;
};

struct Columns
{
  std::size_t key;
  std::size_t value;
};

struct Found
{
  Dialect dialect;
  bool complete = false;
  std::vector<std::string> best_row; ///< what comes nearest to a header, when it is not complete
  std::string trouble;               ///< why it is none
};

std::string folded_name(std::string_view name)
{
  return reconciliation::folded(without_formula(name));
}

/// The column of that name; exactly as written before without regard to case.
std::vector<std::size_t> columns_named(const std::vector<std::string_view>& row, std::string_view name)
{
  std::vector<std::size_t> exact;
  std::vector<std::size_t> alike;
  const auto wanted = folded_name(name);
  for (std::size_t i = 0; i < row.size(); ++i)
  {
    if (row[i] == name)
      exact.push_back(i);
    if (folded_name(row[i]) == wanted)
      alike.push_back(i);
  }
  return exact.empty() ? alike : exact;
}

std::size_t distance(std::string_view a, std::string_view b)
{
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
  {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j)
    {
      const auto above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// The name that was probably meant; empty if none is near.
std::string closest(const std::vector<std::string>& names, const std::string& wanted)
{
  const auto target = folded_name(wanted).substr(0, 100);
  std::string best;
  std::size_t least = std::max<std::size_t>(2, target.size() / 3) + 1;
  for (const auto& name : names)
  {
    const auto candidate = folded_name(name).substr(0, 100);
    if (candidate.empty())
      continue;
    const bool holds = candidate.find(target) != std::string::npos;
    const auto away = holds ? 1 : distance(candidate, target);
    if (away < least)
    {
      least = away;
      best = name;
    }
  }
  return best;
}

std::string list_of(const std::vector<std::string>& names)
{
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < listed_columns; ++i)
    text += (i == 0 ? "" : ", ") + (names[i].empty() ? std::string("(no name)") : names[i].substr(0, 60));
  if (names.size() > listed_columns)
    text += fmt::format(" and {} more", names.size() - listed_columns);
  return text;
}

/// `sep=;` as the first line is for spreadsheets, and no row.
std::optional<char> separator_line(std::string_view text, Dialect& dialect)
{
  std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  const auto whole = line.size();
  if (line.size() > 2 && line.front() == '"' && line.back() == '"')
    line = line.substr(1, line.size() - 2);
  if (line.size() != 5 || folded_name(line.substr(0, 4)) != "sep=")
    return std::nullopt;
  dialect.skip = whole;
  if (text.substr(whole).starts_with("\r\n"))
    dialect.skip += 2;
  else if (whole < text.size())
    dialect.skip += 1;
  dialect.skipped_lines = 1;
  return line[4];
}

std::optional<Columns> columns_of(const std::vector<std::string_view>& row, const Wanted& wanted, std::string& trouble)
{
  const auto key = columns_named(row, wanted.key);
  const auto value = columns_named(row, wanted.value);
  for (const auto& [found, name] : {std::pair(&key, &wanted.key), std::pair(&value, &wanted.value)})
    if (found->size() > 1)
      trouble = "the column " + *name + " stands more than once";
  if (key.size() != 1 || value.size() != 1)
    return std::nullopt;
  if (key[0] == value[0])
  {
    trouble = "key and value are the same column";
    return std::nullopt;
  }
  return Columns{key[0], value[0]};
}

Found try_separator(std::string_view text, Dialect dialect, const Wanted& wanted)
{
  Found found{.dialect = std::move(dialect), .complete = false, .best_row = {}, .trouble = {}};
  CsvReader reader(text.substr(found.dialect.skip), found.dialect.csv);
  for (std::size_t number = 0; number < rows_to_look_at && reader.next() == CsvReader::Next::row; ++number)
  {
    const auto& row = reader.fields();
    if (is_blank(row))
      continue;
    std::string trouble;
    const auto columns = columns_of(row, wanted, trouble);
    if (!columns)
    {
      if (found.best_row.size() < row.size() || !trouble.empty())
        found.best_row.assign(row.begin(), row.end());
      if (!trouble.empty())
        found.trouble = trouble;
      continue;
    }
    found.dialect.header.assign(row.begin(), row.end());
    found.dialect.key = columns->key;
    found.dialect.value = columns->value;
    found.dialect.rows_before = number;
    found.dialect.header_line = reader.line() + found.dialect.skipped_lines;
    found.complete = true;
    return found;
  }
  return found;
}

std::unexpected<Problem> no_columns(const Found& best, const Wanted& wanted, std::string_view text)
{
  if (!best.trouble.empty())
    return refuse(best.trouble, "name the columns to take: --key-column NAME --value-column NAME");
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos)
    return refuse("the input holds no records");
  std::vector<std::string_view> views(best.best_row.begin(), best.best_row.end());
  std::string cause = "the header has no column";
  std::string near;
  const char* sign = " ";
  for (const auto& name : {wanted.key, wanted.value})
    if (columns_named(views, name).empty())
    {
      cause += sign + name;
      sign = " and no column ";
      if (const auto likely = closest(best.best_row, name); !likely.empty())
        near += (near.empty() ? "; nearest: " : ", ") + likely;
    }
  cause += fmt::format("; {} columns were found: {}{}", best.best_row.size(), list_of(best.best_row), near);
  std::string next = "name the columns to take: --key-column NAME --value-column NAME";
  if (text[begin] == '{' || text[begin] == '[')
    next = "this looks like JSON: say so with --format json (or ndjson)";
  else if (std::any_of(views.begin(), views.end(), has_lei_shape))
    next = "the first line looks like a record: put a header above it, " + wanted.key + "," + wanted.value;
  return refuse(std::move(cause), std::move(next));
}

/// Columns besides the two must have been left out in so many words, or be empty.
Attempt<void> check_others(const Dialect& dialect, const Wanted& wanted)
{
  if (dialect.other_columns_ignored)
    return {};
  std::vector<std::string> others;
  for (std::size_t i = 0; i < dialect.header.size(); ++i)
    if (i != dialect.key && i != dialect.value && !is_blank(dialect.header[i]))
      others.push_back(dialect.header[i]);
  if (others.empty())
    return {};
  return refuse(
      fmt::format(
          "line {}: there are {} columns besides {} and {}, which would not be submitted: {}", dialect.header_line,
          others.size(), wanted.key, wanted.value, list_of(others)),
      "say that only these two are meant: --key-column " + dialect.header[dialect.key] + " --value-column " +
          dialect.header[dialect.value]);
}

Attempt<std::string> candidates_of(const InputOptions& options, std::optional<char> from_line)
{
  if (!options.separator.empty())
  {
    const auto& name = options.separator;
    if (name == "tab" || name == "\\t")
      return "\t";
    if (name.size() == 1 && name != "\"" && name != "\n" && name != "\r")
      return name;
    return std::unexpected(Problem{"the separator must be one ASCII character, or tab", {}, true});
  }
  return from_line ? std::string(1, *from_line) : ",;\t|";
}
}

bool is_blank(std::string_view field)
{
  if (field.empty())
    return true;
  const bool seen = field.front() > ' ' && field.front() < 0x7f;
  return !seen && reconciliation::normalised(field).empty();
}

bool is_blank(const std::vector<std::string_view>& row)
{
  return std::all_of(row.begin(), row.end(), [](std::string_view field) { return is_blank(field); });
}

Attempt<Dialect> find_dialect(std::string_view text, const InputOptions& options, const reconciliation::Schema& schema)
{
  const Wanted wanted{
      options.key_column.empty() ? schema.key_field : options.key_column,
      options.value_column.empty() ? schema.value_field : options.value_column};
  Dialect dialect;
  dialect.other_columns_ignored = !options.key_column.empty() || !options.value_column.empty();
  dialect.csv.formulas = true;
  dialect.csv.max_fields = max_fields;
  dialect.csv.cr_ends_rows = text.find('\n') == std::string_view::npos && text.find('\r') != std::string_view::npos;
  const auto candidates = candidates_of(options, separator_line(text, dialect));
  if (!candidates)
    return std::unexpected(candidates.error());

  // A cut after a line end: no character is torn.
  const auto cut =
      text.size() <= sample_size ? std::string_view::npos : text.substr(0, sample_size).find_last_of("\r\n");
  const auto sample = cut == std::string_view::npos ? text : text.substr(0, cut + 1);
  Found best;
  bool any = false;
  for (const char separator : *candidates)
  {
    dialect.csv.separator = separator;
    auto found = try_separator(sample, dialect, wanted);
    const bool better = !any ||
                        (found.complete && (!best.complete || found.dialect.rows_before < best.dialect.rows_before)) ||
                        (!found.complete && !best.complete && found.best_row.size() > best.best_row.size());
    if (better)
      best = std::move(found);
    any = true;
  }
  if (!best.complete)
    return no_columns(best, wanted, text);
  if (auto others = check_others(best.dialect, wanted); !others)
    return std::unexpected(others.error());
  return std::move(best.dialect);
}
}
