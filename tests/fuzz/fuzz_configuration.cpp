#include "node/configuration.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  (void)concordat::node::parse_configuration({reinterpret_cast<const char*>(data), size});
  return 0;
}
