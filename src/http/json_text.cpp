#include "http/json_text.h"

#include <cstddef>

namespace concordat::http
{
namespace
{
bool is_continuation(unsigned char c)
{
  return (c & 0xc0) == 0x80;
}

/// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode table 3-7); 0 if there is none.
std::size_t sequence_length(std::string_view text)
{
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length)
    return 0;
  for (std::size_t i = 1; i < length; ++i)
  {
    if (!is_continuation(at(i)))
      return 0;
  }
  const unsigned char second = at(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond_unicode = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond_unicode ? 0 : length;
}

void append_escape(std::string& out, char c)
{
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c)
  {
  case '"':
    out += "\\\"";
    break;
  case '\\':
    out += "\\\\";
    break;
  case '\b':
    out += "\\b";
    break;
  case '\f':
    out += "\\f";
    break;
  case '\n':
    out += "\\n";
    break;
  case '\r':
    out += "\\r";
    break;
  case '\t':
    out += "\\t";
    break;
  default:
    out += "\\u00";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 0xf];
  }
}
}

void append_json_string(std::string& out, std::string_view text)
{
  out += '"';
  while (!text.empty())
  {
    const char c = text.front();
    std::size_t length = 1;
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20)
      append_escape(out, c);
    else if (length = sequence_length(text); length > 0)
      out.append(text.substr(0, length));
    else
    {
      out += "\xef\xbf\xbd";
      length = 1;
    }
    text.remove_prefix(length);
  }
  out += '"';
}
}
