#pragma once

#include "base/encoding.h"

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::ledger
{
/// Layout of a chunk file (ledger-format.md §1.3).
inline constexpr std::uint64_t chunk_header_size = 8;
/// Entries end at or before this: the positions table holds 32-bit offsets.
inline constexpr std::uint64_t max_chunk_end = 0xffffffff;

/// @param table offset of the positions table, 0 while the chunk is incomplete
inline std::string chunk_header(std::uint64_t table)
{
  std::string bytes;
  base::append_le(bytes, table);
  return bytes;
}

inline std::string positions_table(const std::vector<std::uint32_t>& positions)
{
  std::string bytes;
  bytes.reserve(4 * positions.size());
  for (const auto position : positions)
    base::append_le(bytes, position);
  return bytes;
}
}
