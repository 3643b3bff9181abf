#include "consensus/read_rounds.h"

#include "base/check.h"

#include <utility>

namespace concordat::consensus
{
bool ReadRounds::ask(Done& done)
{
  if (!asks_others())
    return false;
  const base::LockGuard lock(mutex_);
  if (!asks_others_.load(std::memory_order_relaxed))
    return false;
  waiting_.push_back(std::move(done));
  return true;
}

std::optional<std::uint64_t> ReadRounds::next()
{
  if (under_way_)
    return std::nullopt;
  {
    const base::LockGuard lock(mutex_);
    if (waiting_.empty())
      return std::nullopt;
    asked_.swap(waiting_);
  }
  under_way_ = ++last_token_;
  return under_way_;
}

void ReadRounds::answer(std::uint64_t token, const Result<void>& outcome)
{
  CHECK(under_way_ == token, "there is one round at a time");
  under_way_.reset();
  for (const auto& done : std::exchange(asked_, {}))
    done(outcome);
}

void ReadRounds::refuse(const Error& why)
{
  std::vector<Done> lost;
  {
    const base::LockGuard lock(mutex_);
    asks_others_ = false;
    lost.swap(waiting_);
  }
  for (const auto& done : lost)
    done(std::unexpected(why));
}
}
