#pragma once

#include <cstdint>
#include <unordered_map>

namespace concordat::http
{
/// A number of places for callers, of which nobody may have more than they leave free, so that whoever comes next finds
/// one. The owner's lock guards it.
class FairShare
{
public:
  explicit FairShare(std::uint64_t places) : places_(places) {}

  /// @return false if the caller has too many, or all are taken
  bool take(std::uint64_t caller);
  /// @pre one was taken for that caller
  void give_back(std::uint64_t caller);
  std::uint64_t taken() const
  {
    return taken_;
  }

private:
  const std::uint64_t places_;
  std::uint64_t taken_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> by_caller_;
};
}
