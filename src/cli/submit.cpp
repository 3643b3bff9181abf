#include "cli/submit.h"

#include "cli/progress.h"
#include "cli/refused_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace concordat::cli
{
namespace
{
/// Answers after which the same request can succeed: the node is busy, a commit conflicted, a leader is being elected.
bool is_passing(const Response& response)
{
  return response.status == 503 || response.status == 504 ||
         (response.status == 500 && read_error(response).type == "SessionConsistencyLost");
}

/// A part that was sent before and whose answer the service could not keep is stored all the same.
bool took_effect(const Response& response)
{
  return response.ok() || (response.status == 409 && read_error(response).type == "AnswerNotKept");
}

/// Of a request id, which takes 64 characters with the number of a part.
constexpr std::size_t longest_prefix = 40;

Failure cannot_submit(const intake::Problem& problem)
{
  return {problem.usage ? Exit::usage : Exit::failed, problem.cause, problem.next};
}
}

Submission::Submission(
    Connection& connection, const intake::Records& records, PartLimits limits, SubmissionStateFile* state,
    unsigned attempts, std::function<void(unsigned)> pause)
    : connection_(connection),
      records_(records),
      state_file_(state),
      attempts_(std::max(attempts, 1U)),
      pause_(std::move(pause))
{
  auto left = state_file_ != nullptr ? state_file_->load() : std::nullopt;
  state_ = left ? std::move(*left) : SubmissionState{new_submission_id(), 0, limits};
}

Outcome Submission::remember()
{
  if (state_file_ == nullptr)
    return {};
  if (const auto saved = state_file_->save(state_); !saved)
    return refuse(
        Exit::failed, "cannot remember how far the submission came: " + saved.error().describe(),
        "make that directory writable, or choose another with XDG_STATE_HOME; then run the same command again");
  return {};
}

Attempt<Response> Submission::send(const Parts& parts, const Part& part, std::uint64_t number)
{
  const Headers headers{
      {"content-type", parts.content_type()},
      {"x-concordat-submission", state_.submission},
      {"x-concordat-part", std::to_string(number)},
      // The same part is sent again under the same id, so whichever node takes it gives the first answer.
      {"x-concordat-request-id", state_.submission.substr(0, longest_prefix) + "." + std::to_string(number)}};
  for (unsigned attempt = 1;; ++attempt)
  {
    auto response = connection_.client->send("POST", parts.target(), headers, part.body);
    if (response && !is_passing(*response))
      return std::move(*response);
    if (attempt >= attempts_)
    {
      auto failure = response ? refused(*response) : unreachable(connection_, response.error());
      failure.exit = Exit::unreachable;
      failure.next = fmt::format(
          "{} records are stored; {}", grouped(part.first),
          state_file_ != nullptr ? "run the same command again to go on where it broke off"
                                 : "submit the input again once the service answers");
      return std::unexpected(std::move(failure));
    }
    pause_(std::min(200U << std::min(attempt - 1, 6U), 5000U));
  }
}

Failure Submission::part_refused(const Parts& parts, const Part& part, const Response& response) const
{
  auto failure = refused(response);
  if (const auto rows = describe_refused_rows(response.body, part, records_.records); !rows.empty())
    failure.cause = "the service refused records of the input:\n" + rows;
  if (part.first > 0)
    failure.cause += fmt::format(
        "{}{} of {} records were stored before", failure.cause.ends_with('\n') ? "" : "; ", grouped(part.first),
        grouped(parts.records().size()));
  if (failure.next.empty())
    failure.next = "correct the input and submit it again; records that are stored already keep their last value";
  return failure;
}

Attempt<Submission::Summary> Submission::run(const OnProgress& progress)
{
  Parts parts(records_, reconciliation::Schema{}, state_.limits);
  if (auto remembered = remember(); !remembered)
    return std::unexpected(remembered.error());

  Summary summary;
  summary.records = records_.records.size();
  bool started_over = false;
  std::uint64_t number = 0;
  while (auto part = parts.next())
  {
    ++number;
    if (number > state_.acknowledged)
    {
      const auto response = send(parts, *part, number);
      if (!response)
        return std::unexpected(response.error());
      ++summary.requests;
      if (!took_effect(*response))
      {
        if (read_error(*response).type == "SubmissionOutOfOrder" && !started_over)
        {
          // The service has no memory of the parts before this one: it is not the one that they were sent to.
          started_over = true;
          state_.submission = new_submission_id();
          state_.acknowledged = 0;
          summary.skipped_records = 0;
          number = 0;
          parts.rewind();
          continue;
        }
        if (state_file_ != nullptr)
          (void)state_file_->remove();
        return std::unexpected(part_refused(parts, *part, *response));
      }
      summary.transaction = find_header(response->headers, "x-ms-ccf-transaction-id").value_or("");
      state_.acknowledged = number;
      if (auto remembered = remember(); !remembered)
        return std::unexpected(remembered.error());
    }
    else
      summary.skipped_records += part->records;
    progress(part->first + part->records, summary.records);
  }
  if (state_file_ != nullptr)
    (void)state_file_->remove();
  return summary;
}

Outcome run_submit(const SubmitOptions& options, Console& console)
{
  auto input = options.input;
  input.accept.insert(options.accept.begin(), options.accept.end());
  input.skip.insert(options.skip.begin(), options.skip.end());
  // All of it, before anything is sent: a mistake in the last line must leave nothing stored.
  const auto records = intake::read_records(input, reconciliation::Schema{});
  if (!records)
    return std::unexpected(cannot_submit(records.error()));
  auto connection = connect(options.connection, Identity::needed);
  if (!connection)
    return std::unexpected(connection.error());

  base::RealFileSystem files;
  SubmissionStateFile state(
      files, SubmissionStateFile::default_directory(), digest_of(*records), connection->caller, connection->url);
  Submission submission(
      *connection, *records, {}, &state, options.attempts,
      [](unsigned milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); });

  Progress bar(console);
  const auto summary = submission.run([&](std::uint64_t done, std::uint64_t total) { bar.show(done, total); });
  bar.clear();
  if (!summary)
    return std::unexpected(summary.error());

  const auto sent = summary->records - summary->skipped_records;
  std::string line = fmt::format(
      "{} records submitted in {} {}", grouped(sent), grouped(summary->requests),
      summary->requests == 1 ? "request" : "requests");
  if (records->skipped > 0)
    line += fmt::format(" ({} rows left out)", grouped(records->skipped));
  if (summary->skipped_records > 0)
    line += fmt::format(" ({} had been stored before)", grouped(summary->skipped_records));
  if (!summary->transaction.empty())
    line += ", transaction " + printable(summary->transaction);
  console.out << line << '\n';
  return {};
}
}
