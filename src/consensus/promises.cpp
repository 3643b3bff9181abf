#include "consensus/promises.h"

namespace concordat::consensus
{
Promises::Promises(DurableStateFile& file, const DurableState& written) : file_(file), written_(written) {}

Result<void> Promises::change(const std::function<void(DurableState&)>& change)
{
  const base::LockGuard writing(writing_);
  const auto before = written();
  auto after = before;
  change(after);
  if (after == before)
    return {};
  if (auto saved = file_.save(after); !saved)
    return saved;
  const base::LockGuard lock(mutex_);
  written_ = after;
  return {};
}

DurableState Promises::written() const
{
  const base::LockGuard lock(mutex_);
  return written_;
}
}
