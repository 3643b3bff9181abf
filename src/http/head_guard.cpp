#include "http/head_guard.h"

namespace concordat::http
{
namespace
{
constexpr std::size_t max_white_space = 1024;
}

HeadGuard::Verdict HeadGuard::look(std::string_view text)
{
  while (true)
  {
    const auto end = text.find('\n', scanned_);
    if (end == std::string_view::npos)
      break;
    if (end == line_start_ || text[end - 1] != '\r')
      return Verdict::malformed;
    const auto line = text.substr(line_start_, end - 1 - line_start_);
    line_start_ = scanned_ = end + 1;
    if (line_start_ > max_head_size)
      return Verdict::too_large;
    if (const auto verdict = look_at_line(line); verdict != Verdict::incomplete)
      return verdict;
  }
  scanned_ = text.size();
  auto unfinished = text.substr(line_start_);
  // Perhaps half of the line's CRLF.
  if (unfinished.ends_with('\r'))
    unfinished.remove_suffix(1);
  if (text.size() > max_head_size || (lines_ > 0 && exceeds(unfinished)))
    return Verdict::too_large;
  return Verdict::incomplete;
}

HeadGuard::Verdict HeadGuard::look_at_line(std::string_view line)
{
  if (lines_++ == 0)
    return line.empty() ? Verdict::malformed : Verdict::incomplete;
  if (line.empty())
    return Verdict::complete;
  if (line.front() == ' ' || line.front() == '\t')
    return Verdict::malformed;
  if (lines_ - 1 > limits_.max_headers_count || exceeds(line))
    return Verdict::too_large;
  return Verdict::incomplete;
}

bool HeadGuard::exceeds(std::string_view line) const
{
  if (line.size() <= limits_.max_header_size)
    return false;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon > limits_.max_header_size)
    return true;
  auto value = line.substr(colon + 1);
  if (value.size() > limits_.max_header_size + max_white_space)
    return true;
  const auto first = value.find_first_not_of(" \t");
  const auto last = value.find_last_not_of(" \t");
  return first != std::string_view::npos && last - first + 1 > limits_.max_header_size;
}
}
