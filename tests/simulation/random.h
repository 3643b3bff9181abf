#pragma once

#include <cstdint>
#include <random>

namespace concordat::simulation
{
/// Every decision of a history comes from here, and so from its seed.
class Random
{
public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t below(std::uint64_t bound)
  {
    return engine_() % bound;
  }
  bool one_in(std::uint64_t n)
  {
    return below(n) == 0;
  }

private:
  std::mt19937_64 engine_;
};
}
