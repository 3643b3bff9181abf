#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace concordat::base
{
void check_failed(const char* condition, const char* why, std::source_location where)
{
  std::fprintf(
      stderr, "%s:%u: CHECK(%s) failed: %s\n", where.file_name(), static_cast<unsigned>(where.line()), condition, why);
  std::abort();
}
}
