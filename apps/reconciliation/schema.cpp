#include "reconciliation/schema.h"

namespace concordat::reconciliation
{
namespace
{
std::string describe(const BadRow& bad)
{
  std::string text = bad.row == 0 ? "the header" : "row " + std::to_string(bad.row);
  if (bad.line != 0)
    text += " (line " + std::to_string(bad.line) + ")";
  if (!bad.column.empty())
    text += ", column " + bad.column;
  return text + ": " + bad.reason;
}
}

void Refusal::add(BadRow row)
{
  ++count_;
  if (rows_.size() < max_described_rows)
    rows_.push_back(std::move(row));
}

std::string Refusal::message() const
{
  if (!message_.empty() || rows_.empty())
    return message_;
  if (count_ == 1)
    return "nothing has been stored: " + describe(rows_.front());
  return "nothing has been stored, there are " + std::to_string(count_) + " mistakes; the first is in " +
         describe(rows_.front());
}

std::optional<std::string> refuse_key(std::string_view key)
{
  if (key.empty())
    return "the key must not be empty";
  if (key.size() > max_key_size)
    return "the key is longer than " + std::to_string(max_key_size) + " bytes";
  return std::nullopt;
}

std::optional<std::string> refuse_value(std::string_view value)
{
  if (value.size() > max_value_size)
    return "the value is longer than " + std::to_string(max_value_size) + " bytes";
  return std::nullopt;
}
}
