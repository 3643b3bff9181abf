#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace concordat::reconciliation
{
/// Undoes percent-encoding (RFC 3986 §2.1) of a path segment; a plus sign stays one.
/// @return nothing if a percent sign is not followed by two hexadecimal digits
std::optional<std::string> decode_percent(std::string_view text);

/// @return nothing unless the text is pairs of hexadecimal digits
std::optional<std::string> decode_hex(std::string_view text);
}
