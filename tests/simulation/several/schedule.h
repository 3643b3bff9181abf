#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace concordat::simulation
{
using Time = std::chrono::microseconds;

/// What happens when, in the time of whoever looks from outside: the clocks of nodes may go otherwise.
class Schedule
{
public:
  Time now() const
  {
    return now_;
  }
  void in(Time delay, std::function<void()> what)
  {
    events_.push_back({now_ + delay, ++last_, std::move(what)});
    std::ranges::push_heap(events_, later);
  }
  /// Has the next event happen; what it calls may have others happen too.
  /// @return false if none is due until then, which is now then
  bool go_on(Time until)
  {
    if (events_.empty() || events_.front().at > until)
    {
      now_ = std::max(now_, until);
      return false;
    }
    std::ranges::pop_heap(events_, later);
    const auto event = std::move(events_.back());
    events_.pop_back();
    now_ = event.at;
    event.what();
    return true;
  }

private:
  struct Event
  {
    Time at;
    std::uint64_t number; ///< the first that was asked for comes first
    std::function<void()> what;
  };
  static bool later(const Event& one, const Event& other)
  {
    return std::pair(one.at, one.number) > std::pair(other.at, other.number);
  }

  Time now_{0};
  std::uint64_t last_ = 0;
  std::vector<Event> events_; ///< a heap
};
}
