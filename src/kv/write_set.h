#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "kv/access.h"

#include <absl/container/btree_map.h>

#include <optional>
#include <string>
#include <string_view>

namespace concordat::kv
{
/// The last operation on each key of one map: a value, or nothing for a remove. Ordered by key bytes.
using MapWrites = absl::btree_map<std::string, std::optional<std::string>, std::less<>>;

/// All that one transaction writes, maps ordered by name.
using WriteSet = absl::btree_map<std::string, MapWrites, std::less<>>;

/// Which maps of a write set to encode.
enum class Domain
{
  public_maps,
  private_maps,
};

/// Encodes the maps of one domain (ledger-format.md §4.3), appended to `out`.
void encode(const WriteSet& writes, Domain domain, std::string& out);

/// Decodes maps until the bytes end, added to `writes`.
/// @return Error::corrupt naming map and reason for anything that the format does not allow: names or keys out of
///         order, a map twice, reads, a map without operations, a map of the other domain, a field past the end
Result<void> decode(std::string_view bytes, Domain domain, WriteSet& writes);
}
