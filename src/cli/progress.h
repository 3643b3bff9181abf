#pragma once

#include "cli/console.h"

#include <chrono>
#include <cstdint>

namespace concordat::cli
{
/// A progress bar on standard error, drawn only on a terminal and at most ten times a second.
class Progress
{
public:
  explicit Progress(Console& console) : console_(console) {}
  /// Leaves the line empty.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// @param total not 0
  void show(std::uint64_t done, std::uint64_t total);
  /// Makes room for a message.
  void clear();

private:
  Console& console_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_{};
  bool drawn_ = false;
};

/// One state of the bar, such as `[########------------]  40%  4,000/10,000 records  80,000/s`.
std::string progress_line(std::uint64_t done, std::uint64_t total, double seconds);
}
