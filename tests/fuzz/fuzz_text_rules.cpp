#include "concordat/json_place.h"
#include "reconciliation/text_rules.h"

#include <boost/json/parse.hpp>
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace concordat;

/// Normalising is done after one time, and its result has no flaw that normalising mends; what is named has a place in
/// the text. The locator of mistakes in JSON finds one exactly where a parser does.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using Kind = reconciliation::TextFlaw::Kind;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size < 10'000)
  {
    boost::system::error_code error;
    boost::json::parse_options options;
    options.max_depth = 1024;
    boost::json::parse(boost::json::string_view(text.data(), text.size()), error, {}, options);
    const auto mistake = find_json_mistake(text);
    // A mark at the start is passed over here, and depth is no mistake of the text.
    if (!text.starts_with("\xef\xbb\xbf") && error != boost::json::error::too_deep &&
        error != boost::json::error::exponent_overflow && mistake.has_value() != error.failed())
      std::abort();
    if (mistake && (mistake->line == 0 || mistake->column == 0 || mistake->reason.empty()))
      std::abort();
  }
  if (!simdjson::validate_utf8(text.data(), text.size()))
    return 0;
  const auto once = reconciliation::normalised(text);
  if (reconciliation::normalised(once) != once)
    std::abort();
  for (const auto& flaw : reconciliation::find_text_flaws(text))
    if (flaw.position >= size)
      std::abort();
  for (const auto& flaw : reconciliation::find_text_flaws(once))
    if (flaw.kind != Kind::lookalike && flaw.kind != Kind::lost)
      std::abort();
  return 0;
}
