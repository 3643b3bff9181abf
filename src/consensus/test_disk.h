#pragma once

#include "base/worker_pool.h"

#include <deque>
#include <utility>

namespace concordat::consensus
{
/// Does what a disk's thread would, when a test says so.
class SlowDisk : public base::Executor
{
public:
  Result<void> submit(base::Job job) override
  {
    if (at_once)
      job.run();
    else
      jobs_.push_back(std::move(job));
    return {};
  }

  /// @return whether there was anything to do
  bool work()
  {
    if (jobs_.empty())
      return false;
    const auto job = std::move(jobs_.front());
    jobs_.pop_front();
    job.run();
    return true;
  }

  bool at_once = false;

private:
  std::deque<base::Job> jobs_;
};
}
