#pragma once

#include "node/identity.h"
#include "node/services.h"

#include <chrono>
#include <string>
#include <string_view>

namespace concordat::node
{
/// What the operator of the machine asks of a node: one JSON object, answered by one (docs/operate.md).
///
/// Whoever may ask is whom the system lets at the socket: nothing here looks at it. Any thread may call.
class ControlCommands
{
public:
  /// @param patience  for agreement on a change
  ControlCommands(Services& services, const Identity& identity, std::chrono::milliseconds patience);

  /// Blocks until a change is agreed on, or `patience` is over.
  /// @param line  any bytes
  /// @return one line of JSON without its end: `{"error":{"code":…,"message":…}}` when it was not done
  std::string answer(std::string_view line);

private:
  Services& services_;
  const Identity& identity_;
  const std::chrono::milliseconds patience_;
};
}
