#include "intake/contradictions.h"

#include "intake/cells.h"
#include "reconciliation/text_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace concordat::intake
{
namespace
{
using reconciliation::folded;
using reconciliation::is_plain;
using reconciliation::normalised;

std::string seen_key(std::string_view key)
{
  return folded(key);
}

bool looks_equal(std::string_view a, std::string_view b)
{
  return a == b || ((!is_plain(a) || !is_plain(b)) && normalised(a) == normalised(b));
}

/// Finds the first record with the same key as seen; open addressing over positions, no copies of keys.
class Keys
{
public:
  explicit Keys(const std::vector<InputRecord>& records)
      : records_(records),
        slots_(std::bit_ceil(2 * records.size() + 2), empty)
  {
  }

  /// @return the position of the first record with such a key, which may be this one
  std::size_t insert(std::size_t position)
  {
    const auto key = seen_key(records_[position].key);
    for (std::size_t at = std::hash<std::string>()(key) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1))
    {
      if (slots_[at] == empty)
      {
        slots_[at] = static_cast<std::uint32_t>(position);
        return position;
      }
      const auto& other = records_[slots_[at]].key;
      if (other == records_[position].key || seen_key(other) == key)
        return slots_[at];
    }
  }

private:
  static constexpr std::uint32_t empty = 0xffffffff;
  const std::vector<InputRecord>& records_;
  std::vector<std::uint32_t> slots_;
};
}

void find_contradictions(std::vector<InputRecord>& records, Findings& findings, const reconciliation::Schema& schema)
{
  if (records.size() >= 0xffffffff)
    return findings.refuse(
        records.back(), {}, "more than 4,294,967,294 records are above the limit; submit them in several files");
  Keys keys(records);
  std::vector<bool> dropped(records.size());
  for (std::size_t i = 0; i < records.size(); ++i)
  {
    const auto first = keys.insert(i);
    if (first == i)
      continue;
    const auto& one = records[first];
    const auto& other = records[i];
    if (!looks_equal(one.key, other.key))
      dropped[i] =
          findings.suspect(
              "case", other, schema.key_field, fmt::format("differs from the key in line {} in case alone", one.line),
              other.key) == Findings::Verdict::skip;
    else if (!looks_equal(one.value, other.value))
      findings.refuse(
          other, schema.key_field,
          fmt::format(
              "the key stands in line {} with another value (lines {} and {} contradict each other)", one.line,
              one.line, other.line));
  }
  std::size_t at = 0;
  std::erase_if(records, [&](const InputRecord&) { return dropped[at++]; });
}

void find_odd_keys(std::vector<InputRecord>& records, Findings& findings, const reconciliation::Schema& schema)
{
  const auto regular = static_cast<std::size_t>(std::count_if(
      records.begin(), records.end(), [](const InputRecord& record) { return has_lei_shape(record.key); }));
  if (regular == records.size() || records.size() < 3 || regular * 2 <= records.size())
    return;
  std::erase_if(
      records,
      [&](const InputRecord& record)
      {
        // What looks like one but for space and the like has been named for that.
        if (has_lei_shape(record.key) || has_lei_shape(normalised(record.key)))
          return false;
        return findings.suspect(
                   "odd-key", record, schema.key_field, "is no LEI, and most keys of the input are", record.key) ==
               Findings::Verdict::skip;
      });
}
}
