#include "http/parser.h"
#include "http/target.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace concordat;

namespace
{
/// Feeds the bytes in pieces of a size that the first byte says, and counts the requests in them.
int requests_in(std::string_view bytes, std::size_t piece, bool& refused)
{
  http::Limits limits;
  limits.max_body_size = 4096;
  limits.max_header_size = 512;
  limits.max_headers_count = 16;
  http::RequestParser parser(limits);
  int count = 0;
  while (!bytes.empty())
  {
    auto now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    while (!now.empty())
    {
      const auto step = parser.feed(now);
      if (step.outcome == http::RequestParser::Outcome::complete)
      {
        const auto request = parser.take();
        if (request.body.size() > limits.max_body_size || request.headers.size() > limits.max_headers_count)
          std::abort();
        (void)request.parameter("transaction_id");
        ++count;
        now.remove_prefix(step.consumed);
        continue;
      }
      if (step.outcome != http::RequestParser::Outcome::need_more)
      {
        refused = true;
        return count;
      }
      break;
    }
  }
  return count;
}
}

/// What is in a stream of bytes does not depend on how it is cut into pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  bool refused_whole = false;
  bool refused_pieces = false;
  const int whole = requests_in(bytes, bytes.size() + 1, refused_whole);
  const int pieces = requests_in(bytes, 1U + data[0] % 32U, refused_pieces);
  if (whole != pieces || refused_whole != refused_pieces)
    std::abort();
  return 0;
}
