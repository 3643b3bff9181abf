#pragma once

#include "base/mutex.h"
#include "concordat/error.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace concordat::base
{
/// Why a job is not done, or not in time.
enum class Refusal
{
  late,     ///< its deadline has passed, while it waited or while it ran
  crowded,  ///< the queue is full, and its owner has more in it than anybody else
  stopping, ///< the executor stops
};

/// Something to be done on another thread.
struct Job
{
  /// Called once, unless the job is refused before its turn. An exception that leaves it ends the process.
  std::function<void()> run;
  /// Called once at most, on any thread, and must be short: instead of `run`; or, if the deadline passes in the middle,
  /// while `run` goes on or has just ended.
  std::function<void(Refusal)> refuse = {};
  /// Whose share of the queue it takes: a caller, a connection. Owners take turns.
  std::string owner = {};
  std::uint64_t bytes = 0; ///< what it holds in memory while it waits
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

/// Does jobs, elsewhere or at once. Any thread may call.
class Executor
{
public:
  virtual ~Executor() = default;
  /// @return Error::limit when the queue is full and the owner's own jobs are the reason; Error::unavailable when the
  ///         executor stops. The job is then forgotten, neither of its functions is called.
  virtual Result<void> submit(Job job) = 0;
};

/// A fixed number of threads with a queue that is bounded in jobs and in bytes.
///
/// Nobody can use it up: owners take turns, and when it is full, the job that came last of the owner who has most in it
/// makes room. Whoever submitted a job hears of it in the end: it was run, or refused. `submit` may be called from any
/// thread, from jobs as well; `stop` and the destructor only from outside of jobs.
class WorkerPool : public Executor
{
public:
  struct Options
  {
    std::string name = "pool"; ///< of the threads
    unsigned threads = 2;      ///< ≥ 1
    std::uint64_t max_jobs = 1000;
    std::uint64_t max_bytes = std::uint64_t{64} << 20; ///< a job that alone is larger waits only in an empty queue
    int niceness = 0;                                  ///< of the threads; see give_way
  };

  explicit WorkerPool(Options options);
  ~WorkerPool() override;
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  Result<void> submit(Job job) override EXCLUDES(mutex_);

  /// Refuses what waits, and returns when what runs has ended.
  void stop() EXCLUDES(mutex_);

  /// Jobs that wait for their turn.
  std::uint64_t waiting() const EXCLUDES(mutex_);

private:
  struct Entry;
  struct Owner;
  using Deadlines = std::multimap<std::chrono::steady_clock::time_point, std::shared_ptr<Entry>>;

  bool fits(std::uint64_t bytes) const REQUIRES(mutex_);
  bool make_room(const Job& job, std::vector<Job>& crowded) REQUIRES(mutex_);
  void enqueue(Job job) REQUIRES(mutex_);
  void leave_queue(const std::shared_ptr<Entry>& entry) REQUIRES(mutex_);
  void forget_deadline(Entry& entry) REQUIRES(mutex_);
  std::shared_ptr<Entry> next() EXCLUDES(mutex_);
  std::shared_ptr<Entry> next_late() EXCLUDES(mutex_);
  void work() EXCLUDES(mutex_);
  void keep_time() EXCLUDES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_;                                           ///< something waits, or the pool stops
  CondVar time_;                                           ///< the first deadline is another one, or the pool stops
  std::map<std::string, Owner> owners_ GUARDED_BY(mutex_); ///< those with waiting jobs
  std::list<std::string> turns_ GUARDED_BY(mutex_);        ///< the same, in the order of their turns
  Deadlines deadlines_ GUARDED_BY(mutex_);                 ///< of jobs that wait or run
  std::uint64_t jobs_ GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};
}
