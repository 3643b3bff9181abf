#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace concordat::kv
{
/// A number as a key of 8 bytes that is ordered like it.
inline std::string numbered(std::uint64_t n)
{
  std::string key(8, '\0');
  for (int i = 8; i-- > 0; n >>= 8)
    key[static_cast<std::size_t>(i)] = static_cast<char>(n);
  return key;
}

/// A generator for a test. Prints its seed, and takes it back from the environment variable CONCORDAT_SEED.
class TestRandom
{
public:
  TestRandom()
  {
    const char* const given = std::getenv("CONCORDAT_SEED");
    const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "CONCORDAT_SEED=" << seed << '\n';
    generator_.seed(seed);
  }

  /// A number below `end`.
  std::uint64_t below(std::uint64_t end)
  {
    return generator_() % end;
  }
  bool chance(unsigned percent)
  {
    return below(100) < percent;
  }
  std::string bytes(std::size_t size)
  {
    std::string text(size, '\0');
    for (auto& c : text)
      c = static_cast<char>(generator_());
    return text;
  }
  std::mt19937_64& generator()
  {
    return generator_;
  }

private:
  std::mt19937_64 generator_;
};
}
