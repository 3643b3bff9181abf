#include "reconciliation/uri.h"

namespace concordat::reconciliation
{
namespace
{
int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// The byte that the first two characters spell.
std::optional<char> read_byte(std::string_view text)
{
  if (text.size() < 2 || digit(text[0]) < 0 || digit(text[1]) < 0)
    return std::nullopt;
  return static_cast<char>(digit(text[0]) << 4 | digit(text[1]));
}
}

std::optional<std::string> decode_percent(std::string_view text)
{
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i)
  {
    if (text[i] != '%')
    {
      out += text[i];
      continue;
    }
    const auto byte = read_byte(text.substr(i + 1));
    if (!byte)
      return std::nullopt;
    out += *byte;
    i += 2;
  }
  return out;
}

std::optional<std::string> decode_hex(std::string_view text)
{
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (; !text.empty(); text.remove_prefix(2))
  {
    const auto byte = read_byte(text);
    if (!byte)
      return std::nullopt;
    out += *byte;
  }
  return out;
}
}
