#include "cli/console.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <unistd.h>

namespace concordat::cli
{
namespace
{
std::string_view code_of(Colour colour)
{
  switch (colour)
  {
  case Colour::none:
    return "";
  case Colour::bold:
    return "\x1b[1m";
  case Colour::green:
    return "\x1b[32m";
  case Colour::yellow:
    return "\x1b[33m";
  case Colour::red:
    return "\x1b[31m";
  case Colour::dim:
    return "\x1b[2m";
  }
  return "";
}

/// Length of the character that text begins with; 0 if that is not UTF-8, or a control character.
std::size_t printable_character(std::string_view text)
{
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80)
    return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (size > text.size() || !simdjson::validate_utf8(text.data(), size))
    return 0;
  // U+0080 to U+009F: some terminals take them as control characters.
  const bool control = first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
  return control ? 0 : size;
}
}

Console Console::standard()
{
  const bool out = isatty(STDOUT_FILENO) != 0;
  const char* const no_colour = std::getenv("NO_COLOR");
  return {
      .out = std::cout,
      .err = std::cerr,
      .out_is_terminal = out,
      .err_is_terminal = isatty(STDERR_FILENO) != 0,
      .colour = out && (no_colour == nullptr || *no_colour == '\0')};
}

std::string paint(const Console& console, Colour colour, std::string_view text)
{
  if (!console.colour || colour == Colour::none)
    return std::string(text);
  return std::string(code_of(colour)).append(text).append("\x1b[0m");
}

std::string printable(std::string_view text)
{
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty())
  {
    const auto size = printable_character(text);
    if (size > 0)
    {
      out.append(text.substr(0, size));
      text.remove_prefix(size);
      continue;
    }
    const auto byte = static_cast<unsigned char>(text.front());
    out.append("\\x") += digits[byte >> 4];
    out += digits[byte & 15];
    text.remove_prefix(1);
  }
  return out;
}

std::size_t display_width(std::string_view text)
{
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string grouped(std::uint64_t number)
{
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string shell_quoted(std::string_view text)
{
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=@%+,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos)
    return std::string(text);
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}
}
