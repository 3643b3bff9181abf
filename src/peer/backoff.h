#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace concordat::peer
{
/// How long to wait before the next try: twice as long each time up to a bound, and a random part of it less, so that
/// nodes that lost each other at once do not come back at once. Used by one thread.
class Backoff
{
public:
  /// @param seed  of the random part
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most, std::uint64_t seed)
      : first_(first),
        most_(most),
        next_(first),
        random_(seed)
  {
  }

  std::chrono::milliseconds next()
  {
    const auto whole = next_.count();
    next_ = std::min(most_, next_ * 2);
    return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(whole / 2, whole)(random_));
  }
  void reset()
  {
    next_ = first_;
  }

private:
  const std::chrono::milliseconds first_;
  const std::chrono::milliseconds most_;
  std::chrono::milliseconds next_;
  std::mt19937_64 random_;
};
}
