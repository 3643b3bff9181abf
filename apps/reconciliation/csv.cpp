#include "reconciliation/csv.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

namespace concordat::reconciliation
{
namespace
{
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

/// Bytes that end a stretch of plain field text.
constexpr auto is_special = []
{
  std::array<bool, 256> table{};
  for (const unsigned char c : {',', '\n', '\r', '"', '\0'})
    table[c] = true;
  return table;
}();

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

CsvReader::CsvReader(std::string_view text) : text_(text)
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
    if (fields_.size() == max_fields)
    {
      fail_at(position_, "the row has more than " + std::to_string(max_fields) + " fields");
      return Next::error;
    }
    std::string_view field;
    const bool quoted = position_ < text_.size() && text_[position_] == '"';
    if (!(quoted ? read_quoted(field) : read_plain(field)))
      return Next::error;
    fields_.push_back(field);

    if (position_ == text_.size())
      return Next::row;
    const char separator = text_[position_++];
    if (separator == ',')
      continue;
    if (separator == '\r')
      ++position_;
    ++line_;
    line_begin_ = position_;
    return Next::row;
  }
}

/// Leaves the position at the comma, the line end or the end of the text; a carriage return there is followed by LF.
bool CsvReader::read_plain(std::string_view& field)
{
  const std::size_t begin = position_;
  while (position_ < text_.size() && !is_special[static_cast<unsigned char>(text_[position_])])
    ++position_;
  field = text_.substr(begin, position_ - begin);
  if (position_ == text_.size())
    return true;
  switch (text_[position_])
  {
  case '"':
    return fail_at(position_, "a quote inside a field; a field that holds quotes must begin and end with one");
  case '\0':
    return fail_at(position_, "a NUL byte");
  case '\r':
    if (position_ + 1 == text_.size() || text_[position_ + 1] != '\n')
      return fail_at(position_, "a carriage return that no line feed follows");
    return true;
  default:
    return true;
  }
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
    if (c == '\n')
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

  const bool line_end = text_.substr(position_).starts_with("\r\n");
  if (!line_end && peek() != ',' && peek() != '\n')
    return fail_at(position_, "text after the closing quote of a field");
  return true;
}
}
