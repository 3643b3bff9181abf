#include "ledger/receipt.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

/// What is read as a receipt is the same receipt when written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using concordat::ledger::Receipt;
  const auto receipt = Receipt::from_json({reinterpret_cast<const char*>(data), size});
  if (!receipt)
    return 0;
  const auto text = receipt->to_json();
  const auto again = Receipt::from_json(text);
  if (!again || again->to_json() != text || again->root() != receipt->root())
    std::abort();
  return 0;
}
