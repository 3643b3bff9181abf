#pragma once

#include "concordat/error.h"
#include "kv/store.h"
#include "kv/write_set.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::kv
{
/// Appends the maps of one domain as they stand in a snapshot (ledger-format.md §9.2): all of them, by name, also those
/// that are empty now; in each the keys by the lower 32 bits of `snapshot_hash`, and those that have the same by
/// themselves. The same state always gives the same bytes.
void encode_snapshot(const State& state, Domain domain, std::string& out);

/// Adds maps to a state, until the bytes end.
/// @return Error::corrupt naming map and reason for anything that the format does not allow: names or keys out of
/// order,
///         a map of the other domain, a version above that of its map, a map's above `last`, padding that is not zero,
///         a field past the end. `state` is of no use then
Result<void> decode_snapshot(std::string_view bytes, Domain domain, Seqno last, State& state);

/// SipHash-2-4 with the key that this format fixes. No secret: it only orders.
std::uint64_t snapshot_hash(std::string_view key);
/// SipHash-2-4 (Aumasson and Bernstein, 2012).
std::uint64_t siphash_2_4(std::uint64_t k0, std::uint64_t k1, std::string_view bytes);
}
