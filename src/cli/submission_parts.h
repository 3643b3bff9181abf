#pragma once

#include "cli/failure.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::cli
{
enum class InputFormat
{
  csv,
  json,   ///< an array of records, or one record
  ndjson, ///< a record a line
};

/// The format that the name of a file ends with (.csv, .json, .ndjson, .jsonl), otherwise what the text looks like.
InputFormat guess_format(std::string_view name, std::string_view text);

/// How much goes into one request.
struct PartLimits
{
  std::size_t bytes = 700'000;
  std::uint64_t records = 10'000;
};

/// One request of a submission.
struct Part
{
  std::string body;
  std::uint64_t first_record = 1; ///< its place in the whole input, from 1
  std::uint64_t records = 0;
  /// CSV: line of the input in which the first record begins, and the line in which it begins in `body`.
  std::uint64_t first_line = 0;
  std::uint64_t first_line_in_body = 0;
};

/// Cuts an input into requests, always in the same way for the same input and limits. Records are passed on as they
/// stand; whether they fit the schema is for the service to say. A record that is larger than the limit goes alone.
/// Used by one thread; does not copy the text, which must outlive it.
class Splitter
{
public:
  /// Reads through the whole text first, so that nothing is sent of an input that is broken further down.
  /// @return Exit::failed saying where the text is not what the format asks for, or that it holds no records
  static Attempt<std::unique_ptr<Splitter>> open(std::string_view text, InputFormat format, PartLimits limits);

  virtual ~Splitter() = default;
  /// The next part; nothing at the end.
  virtual std::optional<Part> next() = 0;
  /// Back to the first part.
  virtual void rewind() = 0;
  virtual std::uint64_t total_records() const = 0;
  /// Where the application takes such a body.
  virtual std::string target() const = 0;
  virtual std::string content_type() const = 0;
};
}
