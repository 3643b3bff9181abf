#pragma once

#include <source_location>

namespace concordat::base
{
/// Ends the process after printing what was violated and where. For what cannot happen in a correct program.
[[noreturn]] void check_failed(const char* condition, const char* why, std::source_location where);
}

/// Holds in release builds too. `why` says why the condition is always true.
#define CHECK(condition, why)                                                                                          \
  do                                                                                                                   \
  {                                                                                                                    \
    if (!(condition)) [[unlikely]]                                                                                     \
      ::concordat::base::check_failed(#condition, why, std::source_location::current());                               \
  } while (false)
