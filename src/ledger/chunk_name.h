#pragma once

#include "concordat/transaction.h"

#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// What the name of a chunk file says (ledger-format.md §1.2).
struct ChunkName
{
  Seqno first = 1;
  std::optional<Seqno> last;
  bool committed = false;
  bool recovery = false;

  std::string to_string() const;

  /// @return nothing for a name that is not exactly `ledger_<A>[-<B>][.committed][.recovery]`, with 1 ≤ A ≤ B < 2^63,
  ///         and B present if it is committed
  static std::optional<ChunkName> parse(std::string_view name);
};

inline bool is_ignored_name(std::string_view name)
{
  return name.ends_with(".ignored");
}
}
