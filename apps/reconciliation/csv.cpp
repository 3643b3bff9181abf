#include "reconciliation/csv.h"

#include <simdjson.h>

#include <algorithm>

namespace concordat::reconciliation
{
namespace
{
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

/// Length of the longest prefix that is UTF-8.
std::size_t valid_prefix(std::string_view text)
{
  std::size_t good = 0;
  while (good < text.size())
  {
    std::size_t size = 1;
    if (static_cast<unsigned char>(text[good]) >= 0x80)
    {
      const std::size_t longest = std::min<std::size_t>(4, text.size() - good);
      while (size <= longest && !simdjson::validate_utf8(text.data() + good, size))
        ++size;
      if (size > longest)
        break;
    }
    good += size;
  }
  return good;
}
}

CsvReader::CsvReader(std::string_view text, CsvDialect dialect) : dialect_(dialect), text_(text)
{
  if (text_.starts_with(byte_order_mark))
    text_.remove_prefix(byte_order_mark.size());
  if (simdjson::validate_utf8(text_.data(), text_.size()))
    return;
  const std::size_t good = valid_prefix(text_);
  line_ +=
      static_cast<std::uint64_t>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(good), '\n'));
  const auto last = text_.substr(0, good).rfind('\n');
  line_begin_ = last == std::string_view::npos ? 0 : last + 1;
  fail_at(good, "this is not UTF-8");
}

char CsvReader::peek() const
{
  return position_ < text_.size() ? text_[position_] : '\n';
}

bool CsvReader::fail_at(std::size_t position, std::string reason)
{
  error_ = {.line = line_, .column = position - line_begin_ + 1, .reason = std::move(reason)};
  return false;
}

CsvReader::Next CsvReader::next()
{
  if (!error_.reason.empty())
    return Next::error;
  fields_.clear();
  row_begin_ = position_;
  row_line_ = line_;
  if (position_ == text_.size())
    return Next::end;

  while (true)
  {
    if (fields_.size() == dialect_.max_fields)
    {
      fail_at(position_, "the row has more than " + std::to_string(dialect_.max_fields) + " fields");
      return Next::error;
    }
    std::string_view field;
    const bool quoted = position_ < text_.size() && text_[position_] == '"';
    const bool formula = dialect_.formulas && text_.substr(position_).starts_with("=\"");
    if (!(quoted ? read_quoted(field) : formula ? read_formula(field) : read_plain(field)))
      return Next::error;
    fields_.push_back(field);

    if (position_ == text_.size())
      return Next::row;
    const char separator = text_[position_++];
    if (separator == dialect_.separator)
      continue;
    if (separator == '\r' && peek() == '\n' && position_ < text_.size())
      ++position_;
    ++line_;
    line_begin_ = position_;
    return Next::row;
  }
}

/// At a separator, a line end or the end of the text.
bool CsvReader::at_field_end() const
{
  const char c = peek();
  return c == dialect_.separator || c == '\n' ||
         (c == '\r' && (dialect_.cr_ends_rows || text_.substr(position_).starts_with("\r\n")));
}

/// Leaves the position at the end of the field.
bool CsvReader::read_plain(std::string_view& field)
{
  const std::size_t begin = position_;
  while (position_ < text_.size())
  {
    const char c = text_[position_];
    if (c == dialect_.separator || c == '\n')
      break;
    if (c == '"')
      return fail_at(position_, "a quote inside a field; a field that holds quotes must begin and end with one");
    if (c == '\0')
      return fail_at(position_, "a NUL byte");
    if (c == '\r')
    {
      if (at_field_end())
        break;
      return fail_at(position_, "a carriage return that no line feed follows");
    }
    ++position_;
  }
  field = text_.substr(begin, position_ - begin);
  return true;
}

/// `="…"` as it stands.
bool CsvReader::read_formula(std::string_view& field)
{
  const std::size_t begin = position_++;
  std::string_view inside;
  if (!read_quoted(inside))
    return false;
  field = text_.substr(begin, position_ - begin);
  return true;
}

bool CsvReader::read_quoted(std::string_view& field)
{
  const auto open_line = line_;
  const auto open_column = position_ - line_begin_ + 1;
  ++position_;
  const std::size_t begin = position_;
  bool doubled = false;
  while (true)
  {
    if (position_ == text_.size())
    {
      error_ = {.line = open_line, .column = open_column, .reason = "a quoted field that is never closed"};
      return false;
    }
    const char c = text_[position_];
    if (c == '\0')
      return fail_at(position_, "a NUL byte");
    ++position_;
    if (c == '\n' || (c == '\r' && dialect_.cr_ends_rows))
    {
      ++line_;
      line_begin_ = position_;
    }
    if (c != '"')
      continue;
    if (position_ == text_.size() || text_[position_] != '"')
      break;
    doubled = true;
    ++position_;
  }
  field = text_.substr(begin, position_ - 1 - begin);
  if (doubled)
  {
    auto plain = std::make_unique<std::string>();
    plain->reserve(field.size());
    for (std::size_t i = 0; i < field.size(); ++i)
    {
      plain->push_back(field[i]);
      if (field[i] == '"')
        ++i;
    }
    field = *plain;
    unescaped_.push_back(std::move(plain));
  }

  if (!at_field_end())
    return fail_at(position_, "text after the closing quote of a field");
  return true;
}
}
