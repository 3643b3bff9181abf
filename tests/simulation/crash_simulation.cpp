#include "world.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

namespace
{
int usage(const char* program)
{
  std::fprintf(stderr, "usage: %s --seed N | --from N --count M\n", program);
  return 2;
}

/// @return what went wrong under this seed
std::optional<std::string> live(std::uint64_t seed, concordat::simulation::Verdict::Tally& tally)
{
  concordat::simulation::World world(seed, tally);
  auto wrong = world.run();
  // A history that is lived through again has the same.
  std::printf(
      "seed %llu: %llu\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(world.fingerprint()));
  return wrong;
}
}

int main(int argc, char** argv)
{
  std::uint64_t from = 0;
  std::uint64_t count = 0;
  for (int i = 1; i + 1 < argc; i += 2)
  {
    std::uint64_t value = 0;
    const char* const end = argv[i + 1] + std::strlen(argv[i + 1]);
    if (std::from_chars(argv[i + 1], end, value).ptr != end)
      return usage(argv[0]);
    if (std::strcmp(argv[i], "--seed") == 0)
    {
      from = value;
      count = 1;
    }
    else if (std::strcmp(argv[i], "--from") == 0)
      from = value;
    else if (std::strcmp(argv[i], "--count") == 0)
      count = value;
    else
      return usage(argv[0]);
  }
  if (count == 0)
    return usage(argv[0]);
  spdlog::set_level(count == 1 ? spdlog::level::info : spdlog::level::off);
  concordat::simulation::Verdict::Tally tally;
  for (auto seed = from; seed < from + count; ++seed)
  {
    // Said before, so that a CHECK that ends the process can be replayed too.
    std::fprintf(stderr, "\rseed %llu", static_cast<unsigned long long>(seed));
    if (const auto wrong = live(seed, tally))
    {
      std::fprintf(
          stderr, "\nFAILED: %s\nreplay with: %s --seed %llu\n", wrong->c_str(), argv[0],
          static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  for (const auto& [what, times] : tally)
    std::printf("%s: %llu times\n", std::string(what).c_str(), static_cast<unsigned long long>(times));
  std::fprintf(stderr, "\n%llu seeds passed\n", static_cast<unsigned long long>(count));
  return 0;
}
