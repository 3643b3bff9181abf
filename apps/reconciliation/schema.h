#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
inline constexpr std::size_t max_key_size = 1024;
inline constexpr std::size_t max_value_size = 64 * 1024;
/// So many bad rows are described in an answer; all of them are counted.
inline constexpr std::size_t max_described_rows = 100;

/// What a record looks like: two fields, both text. The key names the thing, the value is what is voted on.
struct Schema
{
  std::string key_field = "lei";
  std::string value_field = "nace";

  bool operator==(const Schema&) const = default;
};

/// One record; the bytes belong to the batch that it came with.
struct Record
{
  std::string_view key;
  std::string_view value;
  std::uint64_t line = 0; ///< of a CSV file, counted from 1; 0 for JSON
};

/// Why a row cannot be stored. Never holds what the row holds.
struct BadRow
{
  std::uint64_t row = 0;  ///< counted from 1; 0 for the header
  std::uint64_t line = 0; ///< of a CSV file, counted from 1; 0 for JSON
  std::string column;     ///< name of the field; empty when the whole row is meant
  std::string reason;
};

/// Why a request cannot be stored: a sentence, and the bad rows if it is about rows.
class Refusal
{
public:
  Refusal() = default;
  explicit Refusal(std::string message) : message_(std::move(message)) {}

  /// Counts the row, and keeps it if there is room for it.
  void add(BadRow row);
  bool any_row() const
  {
    return count_ > 0;
  }
  const std::vector<BadRow>& rows() const
  {
    return rows_;
  }
  /// The sentence; made from the rows where none was given.
  std::string message() const;

private:
  std::string message_;
  std::vector<BadRow> rows_;
  std::uint64_t count_ = 0;
};

/// @return why `key` cannot be the key of a record; nothing if it can
std::optional<std::string> refuse_key(std::string_view key);
/// @return why `value` cannot be voted on; nothing if it can
std::optional<std::string> refuse_value(std::string_view value);
}
