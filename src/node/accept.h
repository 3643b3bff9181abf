#pragma once

#include <string_view>

namespace concordat::node
{
enum class Acceptance
{
  accepted,
  refused,
  malformed,
};

/// Whether an `accept` header takes `application/json` (RFC 9110 §12.5.1; weights aside). Wildcards count.
Acceptance accepts_json(std::string_view header);
}
