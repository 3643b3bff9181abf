#pragma once

#include "intake/input_bytes.h"
#include "reconciliation/schema.h"

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::intake
{
enum class Format
{
  csv,
  json,   ///< an array of records, or one record
  ndjson, ///< a record a line
};

/// How an input is to be read. What is empty is found out.
struct InputOptions
{
  std::string file; ///< - for standard input
  std::string format;
  std::string encoding;
  std::string separator;
  std::string key_column;
  std::string value_column;
  std::set<std::string, std::less<>> accept; ///< kinds of suspicion that are submitted as they stand
  std::set<std::string, std::less<>> skip;   ///< kinds of suspicion whose rows are left out
};

/// One record of an input. The bytes belong to the `Records`.
struct InputRecord
{
  std::string_view key;
  std::string_view value;
  std::uint64_t number = 0; ///< rows or elements of the input from 1, without its header and blank lines
  std::uint64_t line = 0;   ///< where it begins, from 1
};

/// What an input holds, checked by every rule that needs only the input.
struct Records
{
  Format format = Format::csv;
  std::vector<InputRecord> records;
  std::uint64_t skipped = 0; ///< rows left out on request

  InputBytes text;
  std::deque<std::string> owned; ///< texts that do not stand in the input as they are
};

/// The format that a name ends with (also before .gz or .zst), otherwise what the text looks like.
Format guess_format(std::string_view name, std::string_view text);

/// Reads the whole input. Nothing that a person should look at passes without being accepted or skipped by its kind;
/// one key with two values in one input never does.
Attempt<Records> read_records(const InputOptions& options, const reconciliation::Schema& schema);

/// The same, of UTF-8 text that is there already.
Attempt<Records> read_records_of(InputBytes text, const InputOptions& options, const reconciliation::Schema& schema);
}
