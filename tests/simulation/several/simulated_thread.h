#pragma once

#include "base/worker_pool.h"
#include "schedule.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

namespace concordat::simulation
{
/// A thread of a process that does one job after the other, each some time after it was asked for: what others do in
/// between is what a real one races with. A job itself is done at once; the time it takes passes before the next.
class SimulatedThread : public base::Executor
{
public:
  /// @param later  has something done after a while, unless the process is gone by then
  /// @param start  how long a job waits for its turn at least
  SimulatedThread(
      const Schedule& schedule, std::function<void(Time, std::function<void()>)> later, std::function<Time()> start)
      : schedule_(schedule),
        later_(std::move(later)),
        start_(std::move(start))
  {
  }

  Result<void> submit(base::Job job) override
  {
    ++submitted_;
    jobs_.push_back(std::move(job));
    if (jobs_.size() == 1)
      go_on();
    return {};
  }
  /// What it does takes longer than it would.
  void delay(Time time)
  {
    busy_until_ = std::max(busy_until_, schedule_.now()) + time;
  }
  /// It is in the middle of a job.
  bool works() const
  {
    return works_;
  }
  std::uint64_t submitted() const
  {
    return submitted_;
  }
  /// Forgets what waits, as the process ends. Nobody is told: who would be may be gone by now.
  void stop()
  {
    jobs_.clear();
    busy_until_ = Time{0};
  }

private:
  void go_on()
  {
    later_(
        std::max(Time{0}, busy_until_ - schedule_.now()) + start_(),
        [this]
        {
          const auto job = std::move(jobs_.front());
          works_ = true;
          job.run();
          works_ = false;
          jobs_.pop_front();
          if (!jobs_.empty())
            go_on();
        });
  }

  const Schedule& schedule_;
  const std::function<void(Time, std::function<void()>)> later_;
  const std::function<Time()> start_;
  std::deque<base::Job> jobs_; ///< the first one is being waited for, or done
  std::uint64_t submitted_ = 0;
  bool works_ = false;
  Time busy_until_{0};
};
}
