#include "ledger/chunk_name.h"

#include <charconv>

namespace concordat::ledger
{
namespace
{
bool skip(std::string_view& text, std::string_view prefix)
{
  if (!text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes a seqno without leading zeros off the front.
std::optional<Seqno> take_seqno(std::string_view& text)
{
  Seqno value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '0' || value >= Seqno{1} << 63)
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}
}

std::string ChunkName::to_string() const
{
  std::string name = "ledger_" + std::to_string(first);
  if (last)
    name += "-" + std::to_string(*last);
  if (committed)
    name += ".committed";
  if (recovery)
    name += ".recovery";
  return name;
}

std::optional<ChunkName> ChunkName::parse(std::string_view name)
{
  ChunkName parsed;
  if (!skip(name, "ledger_"))
    return std::nullopt;
  const auto first = take_seqno(name);
  if (!first)
    return std::nullopt;
  parsed.first = *first;
  if (skip(name, "-"))
  {
    parsed.last = take_seqno(name);
    if (!parsed.last || *parsed.last < parsed.first)
      return std::nullopt;
  }
  parsed.committed = skip(name, ".committed");
  parsed.recovery = skip(name, ".recovery");
  if (!name.empty() || (parsed.committed && !parsed.last))
    return std::nullopt;
  return parsed;
}
}
