#include "node/accept.h"

namespace concordat::node
{
namespace
{
std::string_view trimmed(std::string_view text)
{
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}
}

Acceptance accepts_json(std::string_view header)
{
  bool accepted = false;
  while (true)
  {
    const auto comma = header.find(',');
    const auto entry = header.substr(0, comma);
    const auto range = trimmed(entry.substr(0, entry.find(';')));
    const auto slash = range.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == range.size())
      return Acceptance::malformed;
    const auto type = range.substr(0, slash);
    const auto subtype = range.substr(slash + 1);
    accepted = accepted ||
               ((type == "application" && (subtype == "json" || subtype == "*")) || (type == "*" && subtype == "*"));
    if (comma == std::string_view::npos)
      return accepted ? Acceptance::accepted : Acceptance::refused;
    header.remove_prefix(comma + 1);
  }
}
}
