#pragma once

#include <cstdint>

namespace concordat::base
{
/// How many descriptors this process may have open.
std::uint64_t descriptor_limit();

/// Raises how many descriptors this process may have open, as far as the system lets it.
/// @return the bound that holds from now on
std::uint64_t raise_descriptor_limit();
}
