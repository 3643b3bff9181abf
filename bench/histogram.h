#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace concordat::bench
{
/// Counts durations from 1 ns to 18 s in buckets whose width is at most 1/64 of their value (as HdrHistogram does), so
/// that recording costs a few instructions and no memory. Used by one thread; `add` joins those of several.
class Histogram
{
public:
  void record(std::uint64_t nanoseconds)
  {
    const auto value = std::min(nanoseconds, largest);
    ++counts_[index_of(value)];
    ++total_;
    max_ = std::max(max_, nanoseconds);
  }

  void add(const Histogram& other)
  {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    total_ += other.total_;
    max_ = std::max(max_, other.max_);
  }

  /// The value that the given part of all values does not exceed, in nanoseconds; 0 if there are none.
  /// @param part  above 0, at most 1
  std::uint64_t percentile(double part) const
  {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
    {
      seen += counts_[i];
      if (seen >= wanted && seen > 0)
        return std::min(upper_end_of(i), max_);
    }
    return 0;
  }

  std::uint64_t max() const
  {
    return max_;
  }
  std::uint64_t total() const
  {
    return total_;
  }

private:
  static constexpr unsigned sub_bits = 6;
  static constexpr unsigned value_bits = 34;
  static constexpr std::uint64_t largest = (std::uint64_t{1} << value_bits) - 1;

  /// Values below 2^(sub_bits+1) have a bucket each; above, each power of two has 2^sub_bits buckets.
  static std::size_t index_of(std::uint64_t value)
  {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > sub_bits + 1 ? width - sub_bits - 1 : 0;
    return (std::size_t{shift} << sub_bits) + static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t upper_end_of(std::size_t index)
  {
    if (index < (std::size_t{2} << sub_bits))
      return index;
    const auto shift = (index >> sub_bits) - 1;
    const auto top = index - (shift << sub_bits);
    return ((static_cast<std::uint64_t>(top) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, std::size_t{value_bits - sub_bits + 1} << sub_bits> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};
}
