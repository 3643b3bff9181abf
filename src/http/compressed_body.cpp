#include "http/compressed_body.h"

#include "base/check.h"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>

namespace concordat::http
{
namespace
{
constexpr int window_bits = 15;
constexpr int gzip_only = 16;

bool is(std::string_view header, std::string_view name)
{
  return boost::beast::iequals({header.data(), header.size()}, {name.data(), name.size()});
}
}

ContentCoding content_coding(std::string_view header)
{
  if (header.empty() || is(header, "identity"))
    return ContentCoding::none;
  // RFC 9110 §8.4.1.3: the old name means the same.
  if (is(header, "gzip") || is(header, "x-gzip"))
    return ContentCoding::gzip;
  return is(header, "deflate") ? ContentCoding::deflate : ContentCoding::unknown;
}

CompressedBody::CompressedBody(ContentCoding coding, std::uint64_t max_size) : coding_(coding), max_size_(max_size)
{
  const int bits = coding == ContentCoding::gzip ? window_bits + gzip_only : window_bits;
  CHECK(inflateInit2(&stream_, bits) == Z_OK, "memory for a window of 32 KB, as for any connection");
}

CompressedBody::~CompressedBody()
{
  inflateEnd(&stream_);
}

CompressedBody::Outcome CompressedBody::fail(const char* problem)
{
  problem_ = problem;
  return Outcome::malformed;
}

CompressedBody::Outcome CompressedBody::feed(std::string_view bytes, std::string& out)
{
  std::array<char, 16 << 10> decoded;
  in_ += bytes.size();
  stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_.avail_in = static_cast<uInt>(bytes.size());
  while (stream_.avail_in > 0 || stream_.avail_out == 0)
  {
    if (state_ == State::between)
    {
      if (stream_.avail_in == 0)
        break;
      // RFC 1952 §2.2: a file of gzip is a row of members.
      if (coding_ != ContentCoding::gzip)
        return fail("something follows the end of the compressed data");
      CHECK(inflateReset(&stream_) == Z_OK, "the stream is one that was made");
    }
    state_ = State::inside;
    stream_.next_out = reinterpret_cast<Bytef*>(decoded.data());
    stream_.avail_out = static_cast<uInt>(decoded.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    const auto size = decoded.size() - stream_.avail_out;
    out_ += size;
    if (out_ > max_size_)
      return Outcome::too_large;
    if (out_ > free_size && out_ / max_ratio > in_)
      return fail("it decodes to more than a hundred times its size");
    out.append(decoded.data(), size);
    if (result == Z_STREAM_END)
      state_ = State::between;
    else if (result == Z_BUF_ERROR && stream_.avail_in == 0)
      break;
    else if (result != Z_OK)
      return fail(
          coding_ == ContentCoding::gzip ? "it is not gzip, or damaged" : "it is not deflate (zlib), or damaged");
  }
  return Outcome::need_more;
}
}
