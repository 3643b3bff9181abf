#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace concordat::simulation
{
/// What is known to be wrong, of which the first counts; and how often what is to be tried was, over all histories.
class Verdict
{
public:
  using Tally = std::map<std::string_view, std::uint64_t>;

  /// @param tally  outlives this
  explicit Verdict(Tally& tally) : tally_(tally) {}

  /// @param what  lives for ever
  void count(std::string_view what)
  {
    ++tally_[what];
  }
  void wrong(std::string what)
  {
    if (!wrong_)
      wrong_ = std::move(what);
  }
  void wrong_if(const std::optional<std::string>& what)
  {
    if (what)
      wrong(*what);
  }
  const std::optional<std::string>& first() const
  {
    return wrong_;
  }

private:
  Tally& tally_;
  std::optional<std::string> wrong_;
};
}
