#pragma once

#include "http/server.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace concordat::http
{
/// Watches the lines of a request's head while they arrive, so that no limit waits for a line to end, and finds the
/// end of the head. What stands in the lines is the parser's business; line ends other than CRLF and folded lines
/// (RFC 9112 §5.2 lets a server refuse them) are not, because two parsers could see two different requests in them.
class HeadGuard
{
public:
  /// Request line and header lines together. The sheet knows no limit of a target, and none of the sum of headers;
  /// this one keeps a stranger from filling the memory.
  static constexpr std::size_t max_head_size = 2 << 20;

  enum class Verdict
  {
    incomplete,
    complete,
    malformed,
    too_large,
  };

  explicit HeadGuard(const Limits& limits) : limits_(limits) {}

  /// @param text  the head from its first byte: what was given before, and what has come since
  Verdict look(std::string_view text);

  /// Once complete: the length of the head, its empty line included.
  std::size_t size() const
  {
    return line_start_;
  }

private:
  Verdict look_at_line(std::string_view line);
  bool exceeds(std::string_view line) const;

  Limits limits_;
  std::size_t line_start_ = 0;
  std::size_t scanned_ = 0;
  std::uint64_t lines_ = 0;
};
}
