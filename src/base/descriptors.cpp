#include "base/descriptors.h"

#include <algorithm>
#include <sys/resource.h>

namespace concordat::base
{
namespace
{
/// More would only make tables of the kernel larger, should the system name no bound at all.
constexpr rlim_t enough = 1 << 20;
}

std::uint64_t descriptor_limit()
{
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0)
    return 1024;
  return std::min(now.rlim_cur, enough);
}

std::uint64_t raise_descriptor_limit()
{
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) == 0)
  {
    const auto wanted = std::max(now.rlim_cur, std::min(now.rlim_max, enough));
    const rlimit raised{wanted, now.rlim_max};
    if (wanted != now.rlim_cur)
      (void)::setrlimit(RLIMIT_NOFILE, &raised);
  }
  return descriptor_limit();
}
}
