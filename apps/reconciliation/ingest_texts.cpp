#include "reconciliation/ingest.h"

namespace concordat::reconciliation
{
namespace
{
/// A text may be longer in its normalised form, or have nothing left.
std::optional<std::string>
refuse_as_agreed(TextRule rule, std::string_view text, std::optional<std::string> (*check)(std::string_view))
{
  if (rule == TextRule::exact || is_plain(text))
    return std::nullopt;
  if (auto reason = refuse_text(rule, text))
    return reason;
  std::string memory;
  return check(as_agreed(rule, text, memory));
}
}

std::optional<Refusal> refuse_texts(const Schema& schema, TextRule rule, const Batch& batch)
{
  Refusal refusal;
  std::uint64_t row = 0;
  for (const auto& record : batch.records)
  {
    ++row;
    if (auto reason = refuse_as_agreed(rule, record.key, refuse_key))
      refusal.add({.row = row, .line = record.line, .column = schema.key_field, .reason = std::move(*reason)});
    if (auto reason = refuse_as_agreed(rule, record.value, refuse_value))
      refusal.add({.row = row, .line = record.line, .column = schema.value_field, .reason = std::move(*reason)});
  }
  return refusal.any_row() ? std::optional(std::move(refusal)) : std::nullopt;
}
}
