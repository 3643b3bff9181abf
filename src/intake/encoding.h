#pragma once

#include "intake/input_bytes.h"

#include <string_view>

namespace concordat::intake
{
enum class Encoding
{
  utf8,
  utf16_le,
  utf16_be,
  windows_1252,
};

/// By the byte order mark, or by where zero bytes stand; UTF-8 otherwise.
Encoding encoding_of(std::string_view bytes);

/// The input as UTF-8 without byte order mark, and without the Ctrl-Z that old programs end a text with.
/// @param name  utf-8, utf-16le, utf-16be, windows-1252 or iso-8859-1; empty: found out
/// @return an error with line and byte where the bytes are not text in the encoding
Attempt<InputBytes> to_utf8(InputBytes input, std::string_view name);
}
