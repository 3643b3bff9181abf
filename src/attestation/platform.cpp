#include "attestation/platform.h"

#include "attestation/virtual_platform.h"

namespace concordat::attestation
{
Result<Claims> check_evidence(std::string_view format, std::string_view quote, std::string_view endorsements)
{
  if (format != virtual_format)
    return fail(
        ErrorCode::invalid, "evidence of format '" + std::string(format.substr(0, 64)) +
                                "' cannot be checked; this build knows " + std::string(virtual_format));
  if (!endorsements.empty())
    return fail(ErrorCode::invalid, "evidence of the virtual platform has no endorsements");
  return read_virtual_quote(quote);
}
}
