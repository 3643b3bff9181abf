#include "cli/submission_state.h"

#include "base/encoding.h"
#include "crypto/hash.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <cstdlib>

namespace concordat::cli
{
namespace
{
std::string variable(const char* name)
{
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::optional<std::uint64_t> number_of(const boost::json::object& object, const char* key)
{
  const auto* const value = object.if_contains(key);
  boost::system::error_code error;
  if (value == nullptr || !value->is_number())
    return std::nullopt;
  const auto number = value->to_number<std::uint64_t>(error);
  return error ? std::nullopt : std::optional(number);
}
}

std::string SubmissionStateFile::default_directory()
{
  const auto state_home = variable("XDG_STATE_HOME");
  // The XDG base directory specification: a path that is not absolute is to be ignored.
  if (state_home.starts_with('/'))
    return base::join(state_home, "concordat");
  return base::join(variable("HOME"), ".local/state/concordat");
}

SubmissionStateFile::SubmissionStateFile(
    base::FileSystem& files, std::string directory, std::string_view input, std::string_view caller,
    std::string_view url)
    : files_(files),
      directory_(std::move(directory))
{
  const auto input_digest = crypto::sha256(input);
  const auto name = base::to_hex(
      base::as_view(crypto::sha256({base::as_view(input_digest), caller, std::string_view("\0", 1), url})));
  path_ = base::join(directory_, "submission-" + name + ".json");
}

std::optional<SubmissionState> SubmissionStateFile::load()
{
  const auto text = files_.read(path_, 4096);
  if (!text)
    return std::nullopt;
  boost::system::error_code error;
  const auto parsed = boost::json::parse(*text, error);
  if (error || !parsed.is_object())
    return std::nullopt;
  const auto& object = parsed.get_object();
  const auto* const submission = object.if_contains("submission");
  const auto acknowledged = number_of(object, "acknowledged");
  const auto bytes = number_of(object, "part_bytes");
  const auto records = number_of(object, "part_records");
  if (submission == nullptr || !submission->is_string() || !acknowledged || !bytes || !records || *bytes == 0 ||
      *records == 0)
    return std::nullopt;
  return SubmissionState{
      .submission = std::string(submission->get_string()),
      .acknowledged = *acknowledged,
      .limits = {.bytes = *bytes, .records = *records}};
}

Result<void> SubmissionStateFile::save(const SubmissionState& state)
{
  if (auto made = files_.make_directory(directory_); !made)
    return made;
  const boost::json::object object{
      {"submission", state.submission},
      {"acknowledged", state.acknowledged},
      {"part_bytes", state.limits.bytes},
      {"part_records", state.limits.records}};
  return files_.replace(path_, boost::json::serialize(object) + "\n");
}

Result<void> SubmissionStateFile::remove()
{
  return files_.exists(path_) ? files_.remove(path_) : Result<void>{};
}

std::string new_submission_id()
{
  return base::to_hex(crypto::random_bytes(16));
}
}
