#include "base/worker_pool.h"

#include "base/check.h"
#include "base/thread.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace concordat::base
{
namespace
{
constexpr auto no_deadline = std::chrono::steady_clock::time_point::max();

void tell(const Job& job, Refusal why)
{
  if (job.refuse)
    job.refuse(why);
}
}

/// A job that waits or runs.
struct WorkerPool::Entry
{
  Job job;
  bool waits = true;
  std::list<std::shared_ptr<Entry>>::iterator place; ///< among its owner's, while it waits
  std::optional<Deadlines::iterator> deadline;
};

struct WorkerPool::Owner
{
  std::list<std::shared_ptr<Entry>> jobs;
  std::uint64_t bytes = 0;
  std::list<std::string>::iterator turn;
};

WorkerPool::WorkerPool(Options options) : options_(std::move(options))
{
  CHECK(options_.threads >= 1, "a pool without threads would never do anything");
  for (unsigned i = 0; i < options_.threads; ++i)
    threads_.push_back(start_thread(
        options_.name + "-" + std::to_string(i),
        [this]
        {
          give_way(options_.niceness);
          work();
        }));
  threads_.push_back(start_thread(options_.name + "-time", [this] { keep_time(); }));
}

WorkerPool::~WorkerPool()
{
  stop();
}

bool WorkerPool::fits(std::uint64_t bytes) const
{
  return jobs_ == 0 || (jobs_ < options_.max_jobs && bytes_ + bytes <= options_.max_bytes);
}

/// Takes jobs of others out of the queue until `job` fits.
/// @return false, with nothing taken out, if its owner would then be the one who has most
bool WorkerPool::make_room(const Job& job, std::vector<Job>& crowded)
{
  // What an owner has is their part of the two bounds, of that which they use more.
  const auto part = [&](std::uint64_t jobs, std::uint64_t bytes)
  {
    return std::max(
        static_cast<double>(jobs) / static_cast<double>(std::max<std::uint64_t>(options_.max_jobs, 1)),
        static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(options_.max_bytes, 1)));
  };
  const auto own = owners_.find(job.owner);
  const auto own_part =
      own == owners_.end() ? part(1, job.bytes) : part(own->second.jobs.size() + 1, own->second.bytes + job.bytes);
  std::vector<std::shared_ptr<Entry>> out;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> left; // jobs and bytes of owners who lose some
  auto jobs = jobs_;
  auto bytes = bytes_;
  while (jobs != 0 && (jobs >= options_.max_jobs || bytes + job.bytes > options_.max_bytes))
  {
    const std::pair<const std::string, Owner>* largest = nullptr;
    double largest_part = own_part;
    for (const auto& owner : owners_)
    {
      const auto lost = left.find(owner.first);
      const auto now = lost == left.end() ? part(owner.second.jobs.size(), owner.second.bytes)
                                          : part(lost->second.first, lost->second.second);
      if (owner.first != job.owner && now > largest_part)
      {
        largest = &owner;
        largest_part = now;
      }
    }
    if (!largest)
      return false;
    auto& rest = left.try_emplace(largest->first, largest->second.jobs.size(), largest->second.bytes).first->second;
    const auto& loses = *std::next(largest->second.jobs.begin(), static_cast<std::ptrdiff_t>(rest.first - 1));
    rest = {rest.first - 1, rest.second - loses->job.bytes};
    --jobs;
    bytes -= loses->job.bytes;
    out.push_back(loses);
  }
  for (const auto& entry : out)
  {
    leave_queue(entry);
    forget_deadline(*entry);
    crowded.push_back(std::move(entry->job));
  }
  return true;
}

void WorkerPool::enqueue(Job job)
{
  const auto entry = std::make_shared<Entry>();
  entry->job = std::move(job);
  auto [owner, is_new] = owners_.try_emplace(entry->job.owner);
  if (is_new)
    owner->second.turn = turns_.insert(turns_.end(), entry->job.owner);
  owner->second.bytes += entry->job.bytes;
  entry->place = owner->second.jobs.insert(owner->second.jobs.end(), entry);
  ++jobs_;
  bytes_ += entry->job.bytes;
  if (entry->job.deadline != no_deadline)
  {
    entry->deadline = deadlines_.emplace(entry->job.deadline, entry);
    if (*entry->deadline == deadlines_.begin())
      time_.notify_one();
  }
}

void WorkerPool::leave_queue(const std::shared_ptr<Entry>& entry)
{
  const auto owner = owners_.find(entry->job.owner);
  owner->second.jobs.erase(entry->place);
  owner->second.bytes -= entry->job.bytes;
  --jobs_;
  bytes_ -= entry->job.bytes;
  entry->waits = false;
  if (owner->second.jobs.empty())
  {
    turns_.erase(owner->second.turn);
    owners_.erase(owner);
  }
}

void WorkerPool::forget_deadline(Entry& entry)
{
  if (const auto place = std::exchange(entry.deadline, std::nullopt))
    deadlines_.erase(*place);
}

Result<void> WorkerPool::submit(Job job)
{
  CHECK(job.run, "a job is something to be done");
  std::vector<Job> crowded;
  {
    const LockGuard lock(mutex_);
    if (stopping_)
      return fail(ErrorCode::unavailable, "this node is stopping");
    if (!fits(job.bytes) && !make_room(job, crowded))
      return fail(ErrorCode::limit, "too much of yours waits already; try again later");
    enqueue(std::move(job));
    work_.notify_one();
  }
  for (const auto& one : crowded)
    tell(one, Refusal::crowded);
  return {};
}

std::shared_ptr<WorkerPool::Entry> WorkerPool::next()
{
  const LockGuard lock(mutex_);
  while (jobs_ == 0 && !stopping_)
    work_.wait(mutex_);
  if (stopping_)
    return nullptr;
  const auto owner = owners_.find(turns_.front());
  turns_.splice(turns_.end(), turns_, turns_.begin());
  const auto entry = owner->second.jobs.front();
  leave_queue(entry);
  return entry;
}

void WorkerPool::work()
{
  // What a job holds is let go of without the lock: its end may answer somebody.
  while (const auto entry = next())
  {
    // The thread that keeps the time may be behind this one.
    const bool late = entry->job.deadline <= std::chrono::steady_clock::now();
    if (!late)
      entry->job.run();
    bool told = false;
    {
      const LockGuard lock(mutex_);
      told = entry->job.deadline != no_deadline && !entry->deadline;
      forget_deadline(*entry);
    }
    if (late && !told)
      tell(entry->job, Refusal::late);
  }
}

std::shared_ptr<WorkerPool::Entry> WorkerPool::next_late()
{
  const LockGuard lock(mutex_);
  while (!stopping_)
  {
    if (deadlines_.empty())
    {
      time_.wait(mutex_);
      continue;
    }
    const auto when = deadlines_.begin()->first;
    if (std::chrono::steady_clock::now() < when)
    {
      time_.wait_until(mutex_, when);
      continue;
    }
    const auto entry = deadlines_.begin()->second;
    forget_deadline(*entry);
    if (entry->waits)
      leave_queue(entry);
    return entry;
  }
  return nullptr;
}

void WorkerPool::keep_time()
{
  while (const auto entry = next_late())
    tell(entry->job, Refusal::late);
}

void WorkerPool::stop()
{
  std::vector<Job> refused;
  {
    const LockGuard lock(mutex_);
    stopping_ = true;
    while (!owners_.empty())
    {
      const auto entry = owners_.begin()->second.jobs.front();
      leave_queue(entry);
      forget_deadline(*entry);
      refused.push_back(std::move(entry->job));
    }
    work_.notify_all();
    time_.notify_all();
  }
  for (const auto& job : refused)
    tell(job, Refusal::stopping);
  for (auto& thread : threads_)
    if (thread.joinable())
      thread.join();
}

std::uint64_t WorkerPool::waiting() const
{
  const LockGuard lock(mutex_);
  return jobs_;
}
}
