#include "cli/submit.h"

#include "cli/progress.h"
#include "cli/refused_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>
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

Attempt<std::string> read_input(const std::string& file)
{
  constexpr std::uint64_t max_input = std::uint64_t{2} << 30;
  if (file == "-")
  {
    std::string text;
    std::string piece(1 << 20, '\0');
    while (std::cin.read(piece.data(), static_cast<std::streamsize>(piece.size())) || std::cin.gcount() > 0)
    {
      text.append(piece, 0, static_cast<std::size_t>(std::cin.gcount()));
      if (text.size() > max_input)
        return refuse(Exit::failed, "the input is larger than 2 GiB", "send it in several submissions");
    }
    return text;
  }
  base::RealFileSystem files;
  auto text = files.read(file, max_input);
  if (!text)
    return refuse(Exit::failed, "cannot read the input: " + text.error().describe());
  return std::move(*text);
}

Attempt<InputFormat> choose_format(const SubmitOptions& options, std::string_view text)
{
  if (options.format.empty())
    return guess_format(options.file, text);
  if (options.format == "csv")
    return InputFormat::csv;
  if (options.format == "json")
    return InputFormat::json;
  if (options.format == "ndjson")
    return InputFormat::ndjson;
  return refuse(Exit::usage, "the format must be csv, json or ndjson");
}
}

Submission::Submission(
    Connection& connection, std::string_view input, InputFormat format, PartLimits limits, SubmissionStateFile* state,
    unsigned attempts, std::function<void(unsigned)> pause)
    : connection_(connection),
      input_(input),
      format_(format),
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

Attempt<Response> Submission::send(const Splitter& splitter, const Part& part, std::uint64_t number)
{
  const Headers headers{
      {"content-type", splitter.content_type()},
      {"x-concordat-submission", state_.submission},
      {"x-concordat-part", std::to_string(number)}};
  for (unsigned attempt = 1;; ++attempt)
  {
    auto response = connection_.client->send("POST", splitter.target(), headers, part.body);
    if (response && !is_passing(*response))
      return std::move(*response);
    if (attempt >= attempts_)
    {
      auto failure = response ? refused(*response) : unreachable(connection_, response.error());
      failure.exit = Exit::unreachable;
      failure.next = fmt::format(
          "{} records are stored; {}", grouped(part.first_record - 1),
          state_file_ != nullptr ? "run the same command again to go on where it broke off"
                                 : "submit the input again once the service answers");
      return std::unexpected(std::move(failure));
    }
    pause_(std::min(200U << std::min(attempt - 1, 6U), 5000U));
  }
}

Failure Submission::part_refused(const Splitter& splitter, const Part& part, const Response& response) const
{
  auto failure = refused(response);
  if (const auto rows = describe_refused_rows(response.body, part); !rows.empty())
    failure.cause = "the service refused records of the input:\n" + rows;
  if (part.first_record > 1)
    failure.cause += fmt::format(
        "{}records 1 to {} of {} were stored before", failure.cause.ends_with('\n') ? "" : "; ",
        grouped(part.first_record - 1), grouped(splitter.total_records()));
  if (failure.next.empty())
    failure.next = "correct the input and submit it again; records that are stored already keep their last value";
  return failure;
}

Attempt<Submission::Summary> Submission::run(const OnProgress& progress)
{
  auto splitter = Splitter::open(input_, format_, state_.limits);
  if (!splitter)
    return std::unexpected(splitter.error());
  if (auto remembered = remember(); !remembered)
    return std::unexpected(remembered.error());

  Summary summary;
  summary.records = (*splitter)->total_records();
  bool started_over = false;
  std::uint64_t number = 0;
  while (auto part = (*splitter)->next())
  {
    ++number;
    if (number > state_.acknowledged)
    {
      const auto response = send(**splitter, *part, number);
      if (!response)
        return std::unexpected(response.error());
      ++summary.requests;
      if (!response->ok())
      {
        if (read_error(*response).type == "SubmissionOutOfOrder" && !started_over)
        {
          // The service has no memory of the parts before this one: it is not the one that they were sent to.
          started_over = true;
          state_.submission = new_submission_id();
          state_.acknowledged = 0;
          summary.skipped_records = 0;
          number = 0;
          (*splitter)->rewind();
          continue;
        }
        if (state_file_ != nullptr)
          (void)state_file_->remove();
        return std::unexpected(part_refused(**splitter, *part, *response));
      }
      summary.transaction = find_header(response->headers, "x-ms-ccf-transaction-id").value_or("");
      state_.acknowledged = number;
      if (auto remembered = remember(); !remembered)
        return std::unexpected(remembered.error());
    }
    else
      summary.skipped_records += part->records;
    progress(part->first_record - 1 + part->records, summary.records);
  }
  if (state_file_ != nullptr)
    (void)state_file_->remove();
  return summary;
}

Outcome run_submit(const SubmitOptions& options, Console& console)
{
  const auto input = read_input(options.file);
  if (!input)
    return std::unexpected(input.error());
  const auto format = choose_format(options, *input);
  if (!format)
    return std::unexpected(format.error());
  auto connection = connect(options.connection, Identity::needed);
  if (!connection)
    return std::unexpected(connection.error());

  base::RealFileSystem files;
  SubmissionStateFile state(
      files, SubmissionStateFile::default_directory(), *input, connection->caller, connection->url);
  Submission submission(
      *connection, *input, *format, {}, options.file == "-" ? nullptr : &state, options.attempts,
      [](unsigned milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); });

  Progress bar(console);
  const auto summary = submission.run([&](std::uint64_t done, std::uint64_t total) { bar.show(done, total); });
  bar.clear();
  if (!summary)
    return std::unexpected(summary.error());

  std::string line = fmt::format(
      "{} records submitted in {} {}", grouped(summary->records - summary->skipped_records), grouped(summary->requests),
      summary->requests == 1 ? "request" : "requests");
  if (summary->skipped_records > 0)
    line += fmt::format(" ({} had been stored before)", grouped(summary->skipped_records));
  if (!summary->transaction.empty())
    line += ", transaction " + printable(summary->transaction);
  console.out << line << '\n';
  return {};
}
}
