#include "http/fair_share.h"

namespace concordat::http
{
bool FairShare::take(std::uint64_t caller)
{
  const auto own = by_caller_.find(caller);
  if ((own == by_caller_.end() ? 0 : own->second) >= places_ - taken_)
    return false;
  ++by_caller_[caller];
  ++taken_;
  return true;
}

void FairShare::give_back(std::uint64_t caller)
{
  const auto own = by_caller_.find(caller);
  if (--own->second == 0)
    by_caller_.erase(own);
  --taken_;
}
}
