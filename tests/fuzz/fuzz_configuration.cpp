#include "node/configuration.h"

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

using namespace concordat;

namespace
{
void require(bool holds)
{
  if (!holds)
    std::abort();
}
}

/// Any bytes are a configuration that a node could be started with, or refused with a reason.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = node::parse_configuration(text);
  if (!parsed)
  {
    require(parsed.error().code == ErrorCode::invalid && !parsed.error().describe().empty());
    return 0;
  }
  require(!parsed->interfaces.empty() && parsed->chunk_size > 0);
  require(!parsed->ledger_directory.empty() && !parsed->sealed_directory.empty());
  std::set<std::string> names;
  for (const auto& interface : parsed->interfaces)
  {
    require(interface.listen.bind_address.find(':') != std::string::npos);
    require(interface.listen.limits.max_open_sessions_soft <= interface.listen.limits.max_open_sessions_hard);
    require(names.insert(interface.listen.name).second);
  }
  return 0;
}
