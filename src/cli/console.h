#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace concordat::cli
{
/// Where a command writes, and what can be done there.
struct Console
{
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false; ///< on `out`

  /// The process's standard output and error. Colour follows the terminal and the variable NO_COLOR.
  static Console standard();
};

enum class Colour
{
  none,
  bold,
  green,
  yellow,
  red,
  dim,
};

/// The text in that colour, where the console shows colours.
std::string paint(const Console& console, Colour colour, std::string_view text);

/// Text that cannot do anything to a terminal and hides nothing: control characters, those that change the direction or
/// cannot be seen, and bytes that are not UTF-8 are written as `\xNN`.
std::string printable(std::string_view text);

/// The same for several lines, whose ends stay.
std::string printable_lines(std::string_view text);

/// The same for JSON text, which stays the same JSON: such characters, which stand in strings only, become `\uNNNN`.
/// @param json  UTF-8
std::string printable_json(std::string_view json);

/// Whoever read standard output has closed it, as `head` does when it has enough.
bool reader_has_left();

/// How many columns UTF-8 text takes, one a character.
std::size_t display_width(std::string_view text);

/// 1234567 → "1,234,567".
std::string grouped(std::uint64_t number);

/// Text that a shell takes as one word.
std::string shell_quoted(std::string_view text);
}
