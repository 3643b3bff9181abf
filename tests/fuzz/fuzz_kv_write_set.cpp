#include "kv/write_set.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// Maps have one encoding only, and belong to one domain.
void check(std::string_view bytes, kv::Domain domain)
{
  kv::WriteSet writes;
  if (!kv::decode(bytes, domain, writes))
    return;
  for (const auto& [map, entries] : writes)
    require(kv::is_public(map) == (domain == kv::Domain::public_maps) && !entries.empty());
  std::string again;
  kv::encode(writes, domain, again);
  require(again == bytes);

  std::string other;
  kv::encode(writes, domain == kv::Domain::public_maps ? kv::Domain::private_maps : kv::Domain::public_maps, other);
  require(other.empty());
}
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, kv::Domain::public_maps);
  check(bytes, kv::Domain::private_maps);
  return 0;
}
