#include "cli/report_reader.h"

namespace concordat::cli
{
namespace
{
constexpr std::size_t max_beginning = 64 << 10;
constexpr std::size_t max_record = 16 << 20;
constexpr std::size_t max_depth = 32;
}

bool ReportReader::feed(std::string_view piece)
{
  if (beginning_.size() < max_beginning)
    beginning_.append(piece.substr(0, max_beginning - beginning_.size()));

  std::size_t record_begin = 0;
  for (std::size_t i = 0; i < piece.size(); ++i)
  {
    const char c = piece[i];
    if (in_string_)
    {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else
        in_string_ = c != '"';
      continue;
    }
    in_string_ = c == '"';
    if (c == '{' || c == '[')
    {
      if (c == '{' && stack_ == "{[")
      {
        in_record_ = true;
        record_begin = i;
      }
      if (!open(c))
        return false;
    }
    else if (c == '}' || c == ']')
    {
      if (!close(c))
        return false;
      if (!in_record_ || stack_ != "{[")
        continue;
      record_.append(piece.substr(record_begin, i + 1 - record_begin));
      in_record_ = false;
      if (!on_record_(record_))
        return false;
      record_.clear();
    }
  }
  if (in_record_)
    record_.append(piece.substr(record_begin));
  return record_.size() <= max_record;
}

bool ReportReader::open(char bracket)
{
  if (stack_.size() == max_depth || (begun_ && stack_.empty()))
    return false;
  begun_ = true;
  stack_.push_back(bracket);
  return true;
}

bool ReportReader::close(char bracket)
{
  if (stack_.empty() || stack_.back() != (bracket == '}' ? '{' : '['))
    return false;
  stack_.pop_back();
  return true;
}
}
