#pragma once

#include <string>
#include <string_view>

namespace concordat::http
{
/// Appends `text` as a JSON string (RFC 8259 §7), quotes included. Bytes that are not UTF-8 become U+FFFD, one each.
void append_json_string(std::string& out, std::string_view text);
}
