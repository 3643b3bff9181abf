#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat
{
/// Where a text stops being JSON, and why. Holds nothing of the text.
struct JsonMistake
{
  std::uint64_t line = 1;   ///< counted from 1
  std::uint64_t column = 1; ///< bytes of the line, counted from 1
  std::string reason;

  /// `line 3, column 1: a comma with nothing after it`
  std::string describe() const;
};

/// Looks for the first mistake in a text that a parser has refused (RFC 8259; a byte order mark at the start is passed
/// over). Takes one walk over the text and no memory but a byte for each level of nesting.
/// @return nothing if the text is one JSON value, or more than 1,024 levels deep
std::optional<JsonMistake> find_json_mistake(std::string_view text);

/// The same for a text that is JSON, but that a parser has refused all the same: a number that does not fit into 64
/// bits, or more levels than it takes. A mistake comes before these.
std::optional<JsonMistake> find_json_obstacle(std::string_view text);
}
