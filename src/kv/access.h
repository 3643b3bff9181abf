#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::kv
{
/// Who runs a transaction. What it may touch follows from this and the names of the maps alone, see `rights`.
enum class RunBy : std::uint8_t
{
  application,      ///< a handler of the application
  governance_check, ///< what looks at a proposal: the constitution's validate and resolve, and ballots
  governance_apply, ///< what carries out an accepted proposal
  node,             ///< the framework itself
};

struct Rights
{
  bool read = false;
  bool write = false;

  bool operator==(const Rights&) const = default;
};

/// The access matrix (js-apps.md §6.1), with a column for the node itself, which has no business in an application's
/// maps:
///
/// | map | application | governance_check | governance_apply | node |
/// |---|---|---|---|---|
/// | an application's, private | read, write | – | – | – |
/// | an application's, `public:` | read, write | – | write | – |
/// | `public:ccf.gov.` | read | read | read, write | read, write |
/// | `public:ccf.internal.` | read | read | read | read, write |
/// | `ccf.gov.`, `ccf.internal.` | – | – | – | read, write |
/// | other names that begin with `ccf.` or `public:ccf.` | – | – | – | – |
Rights rights(RunBy runs_by, std::string_view map);

enum class Access : std::uint8_t
{
  read,
  write,
};

/// The sentence that refuses an access; names the map.
std::string refusal(RunBy runs_by, Access access, std::string_view map);

/// A map whose name starts with `public:` goes to the ledger in clear.
inline bool is_public(std::string_view map)
{
  return map.starts_with("public:");
}

/// `ccf.` (after an optional `public:`) that goes on with neither `gov.` nor `internal.` is reserved.
bool is_reserved(std::string_view map);

/// A map name as it may stand in a message: it can come from outside and hold anything.
std::string quoted_map(std::string_view map);
}
