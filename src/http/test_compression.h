#pragma once

#include "base/check.h"

#include <zlib.h>

#include <string>
#include <string_view>

namespace concordat::http::test
{
/// @param format  16 for gzip, 0 for zlib
inline std::string compress(std::string_view text, int format)
{
  z_stream stream{};
  CHECK(deflateInit2(&stream, 9, Z_DEFLATED, 15 + format, 8, Z_DEFAULT_STRATEGY) == Z_OK, "memory for a test");
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "there is room for all of it");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
}
