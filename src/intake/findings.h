#pragma once

#include "intake/records.h"

#include <map>

namespace concordat::intake
{
/// Collects what is wrong or suspicious in an input, with its place.
class Findings
{
public:
  explicit Findings(const InputOptions& options) : options_(options) {}

  enum class Verdict
  {
    keep,
    skip,
  };

  /// @param kind   of suspicion
  /// @param column name, or empty when the whole row is meant
  /// @param what   continues the sentence that begins with `cell`
  /// @param cell   the text in question; shown shortened
  Verdict suspect(
      std::string_view kind, const InputRecord& row, std::string_view column, std::string_view what,
      std::string_view cell = {});
  /// What no option lets pass.
  void refuse(const InputRecord& row, std::string_view column, std::string_view reason);
  /// What can be left out, but not submitted.
  Verdict unusable(std::string_view kind, const InputRecord& row, std::string_view reason);

  std::uint64_t skipped() const
  {
    return skipped_;
  }
  /// @return all that stands in the way of the submission; nothing if there is nothing
  Attempt<void> result() const;

private:
  void note(const InputRecord& row, std::string_view column, std::string text);

  const InputOptions& options_;
  std::vector<std::string> lines_;
  std::uint64_t count_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t skipped_ = 0;
  std::map<std::string, bool, std::less<>> kinds_; ///< those in the way; true if they can be accepted
};
}
