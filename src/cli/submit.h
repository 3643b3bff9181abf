#pragma once

#include "cli/connection.h"
#include "cli/console.h"
#include "cli/submission_parts.h"
#include "cli/submission_state.h"

#include <functional>
#include <string>
#include <vector>

namespace concordat::cli
{
struct SubmitOptions
{
  ConnectionOptions connection;
  intake::InputOptions input;
  std::vector<std::string> accept; ///< kinds of suspicion, moved into `input`
  std::vector<std::string> skip;   ///< the same
  unsigned attempts = 6;
};

/// Sends an input in parts, each of which the service applies once however often it is sent.
///
/// A part that got no answer, or that the service could not take just now, is sent again after a pause; so is every
/// part when the service no longer knows the submission. What the service refuses ends the submission.
class Submission
{
public:
  /// @param state where to remember how far it came; may be null
  /// @param pause called with milliseconds before a part is sent again
  Submission(
      Connection& connection, const intake::Records& records, PartLimits limits, SubmissionStateFile* state,
      unsigned attempts, std::function<void(unsigned)> pause);

  struct Summary
  {
    std::uint64_t records = 0;
    std::uint64_t requests = 0;
    std::uint64_t skipped_records = 0; ///< acknowledged before this run
    std::string transaction;           ///< of the last request; empty if the service named none
  };
  using OnProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  /// @param progress called with the number of records that are confirmed, and that of all
  Attempt<Summary> run(const OnProgress& progress);

private:
  Attempt<Response> send(const Parts& parts, const Part& part, std::uint64_t number);
  Failure part_refused(const Parts& parts, const Part& part, const Response& response) const;
  Outcome remember();

  Connection& connection_;
  const intake::Records& records_;
  SubmissionStateFile* state_file_;
  SubmissionState state_;
  unsigned attempts_;
  std::function<void(unsigned)> pause_;
};

Outcome run_submit(const SubmitOptions& options, Console& console);
}
