#pragma once

#include "base/clock.h"
#include "base/simulated_files.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// A clock that stands still until it is told to go on.
class SimulatedClock : public base::Clock
{
public:
  void advance(std::chrono::milliseconds time)
  {
    passed_ += time;
  }
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000) + passed_);
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(1) + passed_);
  }

private:
  std::chrono::milliseconds passed_{0};
};

/// Files by path: what whoever owns the disk can copy and put back.
using Files = std::map<base::Path, std::string>;

/// What a running program sees of these directories, whose files hold no others.
Files copy_of(base::FileSystem& files, const std::vector<base::Path>& directories);
/// Durably, instead of what is there.
void put_back(base::FileSystem& files, const std::vector<base::Path>& directories, const Files& content);

/// Makes everything random in OpenSSL follow from `seed`, keys and signatures included.
void seed_openssl(std::uint64_t seed);
}
