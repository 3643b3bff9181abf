#include "intake/encoding.h"
#include "intake/records.h"
#include "reconciliation/text_rules.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace concordat;

/// Any bytes in any encoding and dialect give records that keep the schema's rules and the rule of texts, or a problem
/// that says why. The first byte chooses what the caller has named and accepted.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size == 0)
    return 0;
  const auto owner = std::make_shared<const std::string>(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto text = intake::to_utf8({owner, *owner}, (*data & 1) != 0 ? "windows-1252" : "");
  if (!text)
  {
    if (text.error().cause.empty())
      std::abort();
    return 0;
  }
  intake::InputOptions options;
  options.file = (*data & 2) != 0 ? "x.json" : "x";
  if ((*data & 4) != 0)
    options.key_column = "a";
  if ((*data & 8) != 0)
    options.skip = {"fields", "space", "total"};
  const bool strict = (*data & 16) != 0;
  if (!strict)
    options.accept = {"odd-key", "empty", "formula", "scientific", "placeholder", "case"};
  const auto records = intake::read_records_of(*text, options, {});
  if (!records)
  {
    if (records.error().cause.empty())
      std::abort();
    return 0;
  }
  if (records->records.empty())
    std::abort();
  std::uint64_t line = 1;
  for (const auto& record : records->records)
  {
    if (reconciliation::refuse_key(record.key) || reconciliation::refuse_value(record.value) || record.line < line)
      std::abort();
    line = record.line;
    // Nothing that was named passes without having been accepted, but for what stood within a formula.
    if (strict && (!reconciliation::find_text_flaws(record.key).empty() ||
                   !reconciliation::find_text_flaws(record.value).empty()))
      std::abort();
  }
  return 0;
}
