#include "reconciliation/ingest.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

/// Any bytes give records that keep the schema's rules, or a refusal that says why.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using namespace concordat::reconciliation;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_json(Schema{}, body);
  if (!parsed)
  {
    if (parsed.error().message().empty() || parsed.error().rows().size() > max_described_rows)
      std::abort();
    return 0;
  }
  if (parsed->records.empty())
    std::abort();
  for (const auto& record : parsed->records)
    if (refuse_key(record.key) || refuse_value(record.value))
      std::abort();
  return 0;
}
