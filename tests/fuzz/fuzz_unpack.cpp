#include "intake/unpack.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace concordat::intake;

/// Any bytes after the magic number of gzip or zstd unpack to something bounded, or are refused; cut anywhere, the
/// same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size < 2)
    return 0;
  const std::string_view packed(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto run = [&](std::size_t cut)
  {
    const auto unpacker = Unpacker::make(packed);
    std::size_t out = 0;
    const auto sink = [&](std::string_view bytes) -> Attempt<void>
    {
      out += bytes.size();
      return {};
    };
    if (!unpacker)
      return out;
    if (!unpacker->feed(packed.substr(0, cut), sink) || !unpacker->feed(packed.substr(cut), sink) ||
        !unpacker->finish())
      return std::size_t{0};
    return out;
  };
  if (run(0) != run(*data % packed.size()))
    std::abort();
  return 0;
}
