#include "cli/report.h"
#include "cli/table.h"

#include <simdjson.h>

namespace concordat::cli
{
namespace
{
using Fields = std::vector<std::pair<std::string, std::string>>;

/// Names and values of a record; strings without quotes, others as JSON.
class RecordParser
{
public:
  std::optional<Fields> parse(std::string_view record)
  {
    simdjson::dom::object object;
    if (parser_.parse(record.data(), record.size()).get(object) != simdjson::SUCCESS)
      return std::nullopt;
    Fields fields;
    for (const auto field : object)
    {
      std::string_view text;
      if (field.value.get(text) == simdjson::SUCCESS)
        fields.emplace_back(field.key, text);
      else
        fields.emplace_back(field.key, simdjson::minify(field.value));
    }
    return fields;
  }

private:
  simdjson::dom::parser parser_;
};

Colour colour_of(std::string_view value)
{
  if (value == "IN_CONSENSUS" || value == "Majority")
    return Colour::green;
  if (value == "LACK_OF_CONSENSUS" || value == "Minority")
    return Colour::red;
  return value == "NOT_ENOUGH_DATA" ? Colour::yellow : Colour::none;
}

class TableWriter : public ReportWriter
{
public:
  explicit TableWriter(Console& console) : console_(console) {}

  bool write(std::string_view record) override
  {
    const auto fields = parser_.parse(record);
    if (!fields)
      return false;
    std::vector<std::string> names;
    std::vector<Table::Cell> row;
    for (const auto& [name, value] : *fields)
    {
      names.push_back(printable(name));
      // The fields of the schema come first; a value of theirs may look like a verdict but is none.
      row.push_back({value, names.size() > 2 ? colour_of(value) : Colour::none});
    }
    if (!table_)
      table_.emplace(console_, std::move(names));
    table_->add(std::move(row));
    return console_.out.good();
  }
  void finish() override
  {
    if (table_)
      table_->finish();
  }

private:
  Console& console_;
  RecordParser parser_;
  std::optional<Table> table_;
};

class JsonWriter : public ReportWriter
{
public:
  explicit JsonWriter(Console& console) : console_(console) {}

  bool write(std::string_view record) override
  {
    console_.out << (first_ ? "[\n" : ",\n") << printable_json(record);
    first_ = false;
    return console_.out.good();
  }
  void finish() override
  {
    console_.out << (first_ ? "[]\n" : "\n]\n");
  }

private:
  Console& console_;
  bool first_ = true;
};

/// A cell that a spreadsheet would run as a formula when it opens the file; plain numbers are none.
bool is_formula(std::string_view cell)
{
  constexpr std::string_view openings = "=+-@\t\r";
  if (cell.empty() || openings.find(cell.front()) == std::string_view::npos)
    return false;
  const bool is_signed = cell.front() == '-' || cell.front() == '+';
  return !is_signed || cell.size() == 1 || cell.find_first_not_of("0123456789.,", 1) != std::string_view::npos;
}

/// RFC 4180. A quotation mark before a cell that a spreadsheet would run keeps it from doing so.
class CsvWriter : public ReportWriter
{
public:
  CsvWriter(bool raw, Console& console) : raw_(raw), console_(console) {}

  bool write(std::string_view record) override
  {
    const auto fields = parser_.parse(record);
    if (!fields)
      return false;
    std::string names;
    std::string values;
    for (const auto& [name, value] : *fields)
    {
      append(names, name);
      append(values, value);
    }
    names.back() = '\n';
    values.back() = '\n';
    if (std::exchange(first_, false))
      console_.out << names;
    console_.out << values;
    return console_.out.good();
  }
  void finish() override {}

private:
  void append(std::string& line, std::string_view field) const
  {
    const auto cell =
        (is_formula(field) && !raw_ ? "'" : "") + (console_.out_is_terminal ? printable(field) : std::string(field));
    const bool quoted = cell.find_first_of(",\"\r\n") != std::string::npos;
    if (quoted)
      line += '"';
    for (const char c : cell)
      line.append(c == '"' ? 2 : 1, c);
    line += quoted ? "\"," : ",";
  }

  const bool raw_;
  Console& console_;
  RecordParser parser_;
  bool first_ = true;
};
}

std::unique_ptr<ReportWriter> ReportWriter::make(ReportFormat format, bool raw, Console& console)
{
  switch (format)
  {
  case ReportFormat::json:
    return std::make_unique<JsonWriter>(console);
  case ReportFormat::csv:
    return std::make_unique<CsvWriter>(raw, console);
  case ReportFormat::table:
    break;
  }
  return std::make_unique<TableWriter>(console);
}
}
