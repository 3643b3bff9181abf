#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::http
{
/// What a `content-encoding` header asks for.
enum class ContentCoding
{
  none,
  gzip,
  deflate, ///< the zlib format (RFC 9110 §8.4.1.2)
  unknown, ///< any other, and more than one
};

ContentCoding content_coding(std::string_view header);

/// Decodes a compressed body as it arrives. What comes out is bounded by a size, and by a multiple of what went in, so
/// that a few bytes cost neither the memory nor the time of very many. Stays where it was made. Used by one thread.
class CompressedBody
{
public:
  enum class Outcome
  {
    need_more, ///< which is fine if the body ends here and `complete`
    too_large,
    malformed, ///< `problem` says why
  };

  /// Above this size the body may be so many times as large as what it is compressed to.
  static constexpr std::uint64_t free_size = 1 << 20;
  static constexpr std::uint64_t max_ratio = 100;

  /// @param coding  gzip or deflate
  /// @param max_size  of the decoded body
  CompressedBody(ContentCoding coding, std::uint64_t max_size);
  ~CompressedBody();
  CompressedBody(const CompressedBody&) = delete;
  CompressedBody& operator=(const CompressedBody&) = delete;

  /// Appends what the bytes decode to.
  Outcome feed(std::string_view bytes, std::string& out);
  /// All that was fed is whole: one or more members of gzip, one stream of zlib.
  bool complete() const
  {
    return state_ == State::between;
  }
  /// For a person; a literal.
  const char* problem() const
  {
    return problem_;
  }

private:
  enum class State
  {
    begin,
    inside,
    between, ///< after a member
  };

  Outcome fail(const char* problem);

  const ContentCoding coding_;
  const std::uint64_t max_size_;
  z_stream stream_{};
  State state_ = State::begin;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  const char* problem_ = "";
};
}
