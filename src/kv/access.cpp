#include "kv/access.h"

namespace concordat::kv
{
namespace
{
/// Whose a map is, by its name (ledger-format.md §4.4).
enum class Owner
{
  application,
  governance,
  internal,
  reserved,
};

Owner owner_of(std::string_view map)
{
  constexpr std::string_view visible = "public:";
  constexpr std::string_view framework = "ccf.";
  if (map.starts_with(visible))
    map.remove_prefix(visible.size());
  if (!map.starts_with(framework))
    return Owner::application;
  map.remove_prefix(framework.size());
  if (map.starts_with("gov."))
    return Owner::governance;
  return map.starts_with("internal.") ? Owner::internal : Owner::reserved;
}

std::string_view name_of(RunBy runs_by)
{
  switch (runs_by)
  {
  case RunBy::application:
    return "an application";
  case RunBy::governance_check:
    return "a check of a proposal";
  case RunBy::governance_apply:
    return "a proposal";
  case RunBy::node:
    break;
  }
  return "the node itself";
}
}

Rights rights(RunBy runs_by, std::string_view map)
{
  constexpr Rights none{false, false};
  constexpr Rights only_read{true, false};
  constexpr Rights only_write{false, true};
  constexpr Rights all{true, true};

  const bool visible = is_public(map);
  const auto owner = owner_of(map);
  if (owner == Owner::reserved)
    return none;
  switch (runs_by)
  {
  case RunBy::application:
    return owner == Owner::application ? all : visible ? only_read : none;
  case RunBy::governance_check:
    return visible && owner != Owner::application ? only_read : none;
  case RunBy::governance_apply:
    if (!visible)
      return none;
    return owner == Owner::application ? only_write : owner == Owner::governance ? all : only_read;
  case RunBy::node:
    return owner == Owner::application ? none : all;
  }
  return none;
}

std::string refusal(RunBy runs_by, Access access, std::string_view map)
{
  std::string text{name_of(runs_by)};
  text += access == Access::read ? " may not read the map " : " may not write the map ";
  text += quoted_map(map);
  if (owner_of(map) == Owner::reserved)
    return text + ": names that begin with 'ccf.' are reserved";
  const auto has = rights(runs_by, map);
  if (has.read)
    return text + ", only read it";
  return has.write ? text + ", only write it" : text;
}

bool is_reserved(std::string_view map)
{
  return owner_of(map) == Owner::reserved;
}

std::string quoted_map(std::string_view map)
{
  constexpr std::size_t longest = 80;
  std::string text = "'";
  for (const char c : map.substr(0, longest))
    text += c >= ' ' && c <= '~' ? c : '?';
  return text + (map.size() > longest ? "...'" : "'");
}
}
