#pragma once

#include <string>
#include <string_view>

namespace concordat::http
{
/// The parts of a request target (http-api.md §1.5).
struct Target
{
  std::string path;  ///< not decoded
  std::string query; ///< decoded as a whole; without the fragment
};

/// Splits at the first '?'; a '#' ends the query, but stays in a path that has no query. Of the absolute form
/// (RFC 9112 §3.2.2) scheme and authority are dropped.
Target split_target(std::string_view target);

/// '+' becomes a space and `%XX` its byte; a '%' that no two hex digits follow stays.
std::string decode_query(std::string_view text);
}
