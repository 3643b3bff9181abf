#include "cli/split_csv.h"

#include "reconciliation/csv.h"

#include <algorithm>

namespace concordat::cli
{
namespace
{
using reconciliation::CsvReader;

/// The row as it stands, with a line end if it is the last and has none.
void append_row(std::string& body, std::string_view raw)
{
  body += raw;
  if (!raw.ends_with('\n'))
    body += '\n';
}

class CsvSplitter final : public Splitter
{
public:
  CsvSplitter(std::string_view text, PartLimits limits, std::uint64_t total)
      : text_(text),
        limits_(limits),
        total_(total)
  {
    rewind();
  }

  void rewind() override
  {
    reader_.emplace(text_);
    record_ = 0;
    header_.clear();
    if (reader_->next() == CsvReader::Next::row)
      append_row(header_, reader_->raw());
    more_ = reader_->next() == CsvReader::Next::row;
  }

  std::optional<Part> next() override
  {
    if (!more_)
      return std::nullopt;
    Part part;
    part.body = header_;
    part.first_record = record_ + 1;
    part.first_line = reader_->line();
    part.first_line_in_body = 1 + static_cast<std::uint64_t>(std::count(header_.begin(), header_.end(), '\n'));
    do
    {
      append_row(part.body, reader_->raw());
      ++part.records;
      more_ = reader_->next() == CsvReader::Next::row;
    } while (more_ && part.records < limits_.records && part.body.size() + reader_->raw().size() <= limits_.bytes);
    record_ += part.records;
    return part;
  }

  std::uint64_t total_records() const override
  {
    return total_;
  }
  std::string target() const override
  {
    return "/app/csv/ingest";
  }
  std::string content_type() const override
  {
    return "text/csv";
  }

private:
  std::string_view text_;
  PartLimits limits_;
  std::uint64_t total_;
  std::optional<CsvReader> reader_;
  std::string header_;
  std::uint64_t record_ = 0;
  bool more_ = false;
};
}

Attempt<std::unique_ptr<Splitter>> split_csv(std::string_view text, PartLimits limits)
{
  CsvReader reader(text);
  std::uint64_t rows = 0;
  CsvReader::Next next;
  while ((next = reader.next()) == CsvReader::Next::row)
    ++rows;
  if (next == CsvReader::Next::error)
    return refuse(
        Exit::failed,
        "the input is not CSV: line " + std::to_string(reader.error().line) + ", byte " +
            std::to_string(reader.error().column) + ": " + reader.error().reason,
        "nothing was sent; correct the file, or say what it is with --format");
  return std::make_unique<CsvSplitter>(text, limits, rows == 0 ? 0 : rows - 1);
}
}
