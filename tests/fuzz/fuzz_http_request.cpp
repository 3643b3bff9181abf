#include "http/parser.h"
#include "http/target.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace concordat;

namespace
{
void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// What a stream of bytes was read as.
struct Seen
{
  std::vector<Request> requests;
  http::RequestParser::Outcome end = http::RequestParser::Outcome::need_more;
};

/// Feeds the bytes in pieces of one size.
Seen read(std::string_view bytes, std::size_t piece)
{
  using Outcome = http::RequestParser::Outcome;
  http::Limits limits;
  limits.max_body_size = 4096;
  limits.max_header_size = 512;
  limits.max_headers_count = 16;
  http::RequestParser parser(limits);
  Seen seen;
  while (!bytes.empty())
  {
    auto now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    while (!now.empty())
    {
      const auto step = parser.feed(now);
      require(step.consumed <= now.size());
      now.remove_prefix(step.consumed);
      if (step.outcome == Outcome::complete)
      {
        seen.requests.push_back(parser.take());
        const auto& request = seen.requests.back();
        require(request.body.size() <= limits.max_body_size && request.headers.size() <= limits.max_headers_count);
        (void)request.parameter("transaction_id");
      }
      else if (step.outcome != Outcome::need_more)
      {
        require(parser.excerpt().size() <= 64);
        seen.end = step.outcome;
        return seen;
      }
      else
        require(now.empty());
    }
  }
  return seen;
}
}

/// What is in a stream of bytes does not depend on how it is cut into pieces, whose size the first byte says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto whole = read(bytes, bytes.size() + 1);
  const auto pieces = read(bytes, 1U + data[0] % 32U);
  require(whole.end == pieces.end && whole.requests.size() == pieces.requests.size());
  for (std::size_t i = 0; i < whole.requests.size(); ++i)
  {
    const auto& one = whole.requests[i];
    const auto& other = pieces.requests[i];
    require(one.method == other.method && one.path == other.path && one.query == other.query);
    require(one.headers == other.headers && one.body == other.body);
  }
  return 0;
}
