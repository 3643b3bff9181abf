#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace concordat::http
{
/// Takes a body in chunked transfer coding apart (RFC 9112 §7.1), byte by byte if need be, without keeping any of it.
/// Beast's own decoder is not used: it lets a quoted chunk extension run over the end of its line, so that what one
/// request is would depend on who reads it. Extensions and trailers are checked and dropped.
class ChunkedBody
{
public:
  /// Of one size line with its extensions, and of all trailers together.
  static constexpr std::size_t max_line = 16 << 10;

  enum class Outcome
  {
    need_more,
    complete,
    malformed,
    too_large,
  };
  struct Step
  {
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0;
    std::string_view data; ///< the next part of the body, may be empty
  };

  /// @param max_size  of all chunks together
  explicit ChunkedBody(std::uint64_t max_size) : left_(max_size) {}

  /// Goes on until there is data, or no bytes are left; to be called again while it needs more and has not used all.
  Step feed(std::string_view bytes);

private:
  enum class State
  {
    size,      ///< digits of the size
    extension, ///< the rest of the size line
    size_end,  ///< the LF of the size line
    data,
    data_end, ///< the CR after the data
    data_end_lf,
    trailer_start, ///< first byte of a trailer line, or the CR of the last line
    trailer,
    trailer_end, ///< the LF of a trailer line
    end,         ///< the last LF
  };

  Outcome take(char c);
  Outcome take_size(char c);
  Outcome end_of_size_line();

  State state_ = State::size;
  std::uint64_t left_;
  std::uint64_t size_ = 0;
  unsigned digits_ = 0;
  std::size_t line_ = 0;
  bool colon_ = false;
};
}
