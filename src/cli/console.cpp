#include "cli/console.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
constexpr std::string_view hex_digits = "0123456789abcdef";

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

/// Nothing is to be seen of these, but they change what is seen, or make different texts look alike: control characters
/// (some terminals take U+0080 to U+009F for such, too), soft hyphen, zero width, directions, separators, tags.
bool is_hidden(char32_t c)
{
  constexpr std::pair<char32_t, char32_t> ranges[] = {
      {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},   {0x200b, 0x200f},
      {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
  };
  return std::any_of(
      std::begin(ranges), std::end(ranges), [&](const auto& range) { return range.first <= c && c <= range.second; });
}

/// A character and how many bytes it takes; none where text does not begin with UTF-8.
struct Character
{
  char32_t code = 0;
  std::size_t size = 0;
};

Character first_character(std::string_view text)
{
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80)
    return {first, 1};
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (size > text.size() || !simdjson::validate_utf8(text.data(), size))
    return {};
  char32_t code = first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i)
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return {code, size};
}

/// How many bytes at the beginning of a text are characters that anybody may see: most texts consist of nothing else.
std::size_t plain_prefix(std::string_view text)
{
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
}

/// Writes `\\u` and four digits for each UTF-16 unit, as JSON has it.
void append_json_escape(std::string& out, char32_t code)
{
  if (code >= 0x10000)
  {
    append_json_escape(out, 0xd7c0 + (code >> 10));
    code = 0xdc00 + (code & 0x3ff);
  }
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4)
    out += hex_digits[code >> shift & 15];
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
  std::string out;
  out.reserve(text.size());
  while (true)
  {
    const auto plain = plain_prefix(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty())
      return out;
    const auto [code, size] = first_character(text);
    const auto taken = std::max<std::size_t>(size, 1);
    if (size != 0 && !is_hidden(code))
      out.append(text.substr(0, size));
    else
      for (const char c : text.substr(0, taken))
      {
        const auto byte = static_cast<unsigned char>(c);
        out.append("\\x") += hex_digits[byte >> 4];
        out += hex_digits[byte & 15];
      }
    text.remove_prefix(taken);
  }
}

std::string printable_lines(std::string_view text)
{
  std::string out;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
    out += printable(text.substr(0, end)) + '\n';
  return out + printable(text);
}

std::string printable_json(std::string_view json)
{
  std::string out;
  out.reserve(json.size());
  while (true)
  {
    const auto plain = plain_prefix(json);
    out.append(json.substr(0, plain));
    json.remove_prefix(plain);
    if (json.empty())
      return out;
    const auto [code, size] = first_character(json);
    const bool is_space = code == '\n' || code == '\r' || code == '\t';
    if (size == 0 || !is_hidden(code) || is_space)
      out.append(json.substr(0, std::max<std::size_t>(size, 1)));
    else
      append_json_escape(out, code);
    json.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

bool reader_has_left()
{
  pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
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
