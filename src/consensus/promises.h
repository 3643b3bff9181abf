#pragma once

#include "base/mutex.h"
#include "consensus/durable_state.h"

#include <functional>

namespace concordat::consensus
{
/// This node's durable state, which several threads change: one of them at a time writes it, so that what is written
/// last is the newest. Who only looks never waits for the disk.
class Promises
{
public:
  Promises(DurableStateFile& file, const DurableState& written);

  /// Writes the state as `change` leaves it; nothing, if that is as before. Nothing has changed after an error.
  Result<void> change(const std::function<void(DurableState&)>& change) EXCLUDES(writing_, mutex_);
  /// As it is on the disk.
  DurableState written() const EXCLUDES(mutex_);

private:
  DurableStateFile& file_;
  base::Mutex writing_; ///< held while the file is written
  mutable base::Mutex mutex_;
  DurableState written_ GUARDED_BY(mutex_);
};
}
