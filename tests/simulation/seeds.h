#pragma once

#include "simulation/verdict.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <string>

namespace concordat::simulation
{
/// The main of a simulation: lives through the histories of the seeds that the command line names.
/// @param live  one history, whose fingerprint it gives out. @return what went wrong
inline int run_seeds(
    int argc, char** argv,
    const std::function<std::optional<std::string>(std::uint64_t seed, Verdict::Tally&, std::uint64_t& fingerprint)>&
        live)
{
  const auto usage = [&]
  {
    std::fprintf(stderr, "usage: %s --seed N | --from N --count M\n", argv[0]);
    return 2;
  };
  std::uint64_t from = 0;
  std::uint64_t count = 0;
  for (int i = 1; i + 1 < argc; i += 2)
  {
    std::uint64_t value = 0;
    const char* const end = argv[i + 1] + std::strlen(argv[i + 1]);
    if (std::from_chars(argv[i + 1], end, value).ptr != end)
      return usage();
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
      return usage();
  }
  if (count == 0)
    return usage();
  spdlog::set_level(count == 1 ? spdlog::level::info : spdlog::level::off);
  Verdict::Tally tally;
  for (auto seed = from; seed < from + count; ++seed)
  {
    // Said before, so that a CHECK that ends the process can be replayed too.
    std::fprintf(stderr, "\rseed %llu", static_cast<unsigned long long>(seed));
    std::uint64_t fingerprint = 0;
    const auto wrong = live(seed, tally, fingerprint);
    // A history that is lived through again has the same.
    std::printf(
        "seed %llu: %llu\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(fingerprint));
    if (wrong)
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
}
