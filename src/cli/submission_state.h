#pragma once

#include "base/files.h"
#include "cli/submission_parts.h"

#include <cstdint>
#include <optional>
#include <string>

namespace concordat::cli
{
/// How far a submission has come, so that it can go on after it broke off.
struct SubmissionState
{
  std::string submission;         ///< its id, as sent in x-concordat-submission
  std::uint64_t acknowledged = 0; ///< parts that the service has confirmed
  PartLimits limits;              ///< parts must be cut in the same way when it goes on
};

/// A file that remembers one submission: of this input, by this caller, to this address. It is written before the
/// first part is sent and after each part that the service confirmed, and removed when the submission is complete.
class SubmissionStateFile
{
public:
  /// The directory for state of this user: $XDG_STATE_HOME/concordat, or ~/.local/state/concordat.
  static std::string default_directory();

  /// @param input the whole input
  SubmissionStateFile(
      base::FileSystem& files, std::string directory, std::string_view input, std::string_view caller,
      std::string_view url);

  /// What was left there; nothing if there is no file, or one that is damaged.
  std::optional<SubmissionState> load();
  Result<void> save(const SubmissionState& state);
  Result<void> remove();

  const std::string& path() const
  {
    return path_;
  }

private:
  base::FileSystem& files_;
  std::string directory_;
  std::string path_;
};

/// A fresh submission id.
std::string new_submission_id();
}
