#pragma once

#include <cstdint>

namespace concordat::base
{
/// Descriptors that connections may never take: the ledger's files, sealed state, sockets that listen, the log.
inline constexpr std::uint64_t reserved_descriptors = 64;

/// Raises how many descriptors this process may have open, as far as the system lets it.
/// @return the bound that holds from now on
std::uint64_t raise_descriptor_limit();

/// How many descriptors all connections together may take under that bound, with those of `reserved_descriptors` kept
/// back; 1 at least.
std::uint64_t descriptors_for_connections();
}
