#pragma once

#include "concordat/http.h"

#include <cstdint>
#include <string>

namespace concordat::http
{
/// How the client learns where the body ends (RFC 9112 §6.3).
enum class Framing
{
  length,
  chunked,
  until_close,
};

struct HeadOptions
{
  Framing framing = Framing::length;
  std::uint64_t length = 0;
  bool close = false;
  bool http_1_0 = false;
};

/// Appends status line, headers and the empty line. Framing and connection headers are the server's: those of the
/// response are left out, as is a header whose name is none; control characters in a value become spaces, so that no
/// application can be made to split an answer.
void append_response_head(std::string& out, const Response& response, const HeadOptions& options);
}
