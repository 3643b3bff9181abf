#include "intake/unpack.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

using namespace concordat::intake;

/// Any bytes after the magic number of gzip or zstd unpack to something bounded, or are refused; cut anywhere, the
/// same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size < 2)
    return 0;
  const std::string_view packed(reinterpret_cast<const char*>(data + 1), size - 1);
  // Nothing if it is refused.
  const auto run = [&](std::size_t cut) -> std::optional<std::string>
  {
    const auto unpacker = Unpacker::make(packed);
    std::string out;
    const auto sink = [&](std::string_view bytes) -> Attempt<void>
    {
      out += bytes;
      return {};
    };
    if (!unpacker)
      return out;
    for (const auto part : {packed.substr(0, cut), packed.substr(cut)})
      if (const auto fed = unpacker->feed(part, sink); !fed)
      {
        if (fed.error().cause.empty())
          std::abort();
        return std::nullopt;
      }
    if (const auto finished = unpacker->finish(); !finished)
    {
      if (finished.error().cause.empty())
        std::abort();
      return std::nullopt;
    }
    return out;
  };
  if (run(0) != run(*data % packed.size()))
    std::abort();
  return 0;
}
