#pragma once

#include <chrono>
#include <cstdint>

namespace concordat::base
{
/// The seam to time.
class Clock
{
public:
  virtual ~Clock() = default;
  /// Seconds and more since 1970, UTC.
  virtual std::chrono::system_clock::time_point now() const = 0;
  /// Never goes back; for time-outs.
  virtual std::chrono::steady_clock::time_point steady() const = 0;

  std::int64_t unix_seconds() const
  {
    return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
  }
};

/// The clock of the machine.
class SystemClock : public Clock
{
public:
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::now();
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::now();
  }
};
}
