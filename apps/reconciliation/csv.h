#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
/// In what a text differs from RFC 4180.
struct CsvDialect
{
  char separator = ',';
  bool cr_ends_rows = false; ///< rows end with a carriage return alone
  bool formulas = false;     ///< an unquoted field may be written `="…"`, as spreadsheets do to keep digits
  std::size_t max_fields = 256;
};

/// Reads CSV as RFC 4180 defines it, row by row: fields separated by commas, rows ended by CRLF or LF (the last end may
/// be missing), fields in double quotes may hold commas, line ends and doubled quotes. A UTF-8 byte order mark at the
/// start is skipped. What the RFC does not allow is an error: a quote inside a field that does not begin with one, text
/// after a closing quote, a quote never closed, a carriage return alone. Beyond the RFC, text must be UTF-8 without
/// NUL.
///
/// Used by one thread. Does not copy the text, which must outlive the reader.
class CsvReader
{
public:
  explicit CsvReader(std::string_view text, CsvDialect dialect = {});

  enum class Next
  {
    row,
    end,
    error, ///< `error()` says why; nothing can be read after it
  };
  /// Moves to the next row. Its fields stay valid as long as reader and text do.
  Next next();

  const std::vector<std::string_view>& fields() const
  {
    return fields_;
  }
  /// The line in which the row begins, counted from 1.
  std::uint64_t line() const
  {
    return row_line_;
  }
  /// The row as it stands in the text, with its line end.
  std::string_view raw() const
  {
    return text_.substr(row_begin_, position_ - row_begin_);
  }

  struct Error
  {
    std::uint64_t line = 0;   ///< counted from 1
    std::uint64_t column = 0; ///< bytes of the line, counted from 1
    std::string reason;
  };
  const Error& error() const
  {
    return error_;
  }

private:
  bool read_plain(std::string_view& field);
  bool read_quoted(std::string_view& field);
  bool read_formula(std::string_view& field);
  bool at_field_end() const;
  bool fail_at(std::size_t position, std::string reason);
  char peek() const;

  CsvDialect dialect_;
  std::string_view text_;
  std::size_t position_ = 0;
  std::uint64_t line_ = 1;
  std::size_t line_begin_ = 0;
  std::uint64_t row_line_ = 1;
  std::size_t row_begin_ = 0;
  std::vector<std::string_view> fields_;
  std::vector<std::unique_ptr<std::string>> unescaped_; ///< fields that had doubled quotes
  Error error_;
};
}
