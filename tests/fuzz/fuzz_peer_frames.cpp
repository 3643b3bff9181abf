#include "peer/frames.h"
#include "peer/hello.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;
using namespace concordat::peer;

constexpr std::uint64_t limit = 200'000;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// A greeting that is read is written as it came, but for what later versions add.
template <typename Read> void greet(Read read, std::string_view bytes)
{
  const auto greeting = read(bytes);
  require(greeting.has_value() || bytes.size() > 0);
  if (!greeting || !*greeting)
    return;
  const auto again = read((*greeting)->encode());
  require(again && *again && **again == **greeting);
  // Whatever is less is waited for.
  const auto part = read(bytes.substr(0, bytes.size() - 1));
  require(part && !*part);
}
}

/// What comes over a connection: the first byte says in portions of how many bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  greet(read_hello, bytes);
  greet(read_answer, bytes);

  std::string sent_again;
  std::uint64_t total = 0;
  const auto sink = [&](std::uint16_t kind, const std::string& message)
  {
    require(message.size() <= limit);
    total += message.size();
    Cutter cutter(kind, Payload(message));
    while (!cutter.done())
    {
      const auto before = sent_again.size();
      cutter.append_to(sent_again);
      require(sent_again.size() - before <= frame_limit);
    }
  };
  FrameReader portions(limit);
  auto rest = bytes;
  Result<void> fed;
  while (fed && !rest.empty())
  {
    const auto part = rest.substr(0, std::size_t{data[0]} + 1);
    rest.remove_prefix(part.size());
    fed = portions.feed(part, sink);
  }
  require(total <= size);

  // In one piece it is the same, and what was read is read again as it is.
  std::string expected;
  std::swap(expected, sent_again);
  FrameReader whole(limit);
  require(whole.feed(bytes, sink).has_value() == fed.has_value());
  require(sent_again == expected);
  sent_again.clear();
  FrameReader again(limit);
  require(again.feed(expected, sink).has_value());
  require(sent_again == expected);
  return 0;
}
