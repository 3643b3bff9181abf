#pragma once

#include "base/thread_annotations.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

/// The standard library's locks with annotations, so that clang checks what prose about locks only says: each member
/// says by which mutex it is GUARDED_BY, each function that leans on a lock REQUIRES it. They cost nothing more.
namespace concordat::base
{
class CAPABILITY("mutex") Mutex
{
public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE()
  {
    mutex_.lock();
  }
  void unlock() RELEASE()
  {
    mutex_.unlock();
  }
  bool try_lock() TRY_ACQUIRE(true)
  {
    return mutex_.try_lock();
  }

private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Many readers or one writer.
class CAPABILITY("mutex") SharedMutex
{
public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() ACQUIRE()
  {
    mutex_.lock();
  }
  void unlock() RELEASE()
  {
    mutex_.unlock();
  }
  void lock_shared() ACQUIRE_SHARED()
  {
    mutex_.lock_shared();
  }
  void unlock_shared() RELEASE_SHARED()
  {
    mutex_.unlock_shared();
  }

private:
  std::shared_mutex mutex_;
};

/// Holds a mutex to the end of the scope.
class SCOPED_CAPABILITY LockGuard
{
public:
  explicit LockGuard(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex)
  {
    mutex_.lock();
  }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;
  ~LockGuard() RELEASE()
  {
    mutex_.unlock();
  }

private:
  Mutex& mutex_;
};

/// Holds a mutex to the end of the scope, unless it is given back before.
class SCOPED_CAPABILITY UniqueLock
{
public:
  explicit UniqueLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex)
  {
    mutex_.lock();
  }
  UniqueLock(const UniqueLock&) = delete;
  UniqueLock& operator=(const UniqueLock&) = delete;
  ~UniqueLock() RELEASE()
  {
    if (held_)
      mutex_.unlock();
  }

  /// @pre not held
  void lock() ACQUIRE()
  {
    mutex_.lock();
    held_ = true;
  }
  /// @pre held
  void unlock() RELEASE()
  {
    mutex_.unlock();
    held_ = false;
  }

private:
  Mutex& mutex_;
  bool held_ = true;
};

/// The only writer to the end of the scope.
class SCOPED_CAPABILITY WriteLock
{
public:
  explicit WriteLock(SharedMutex& mutex) ACQUIRE(mutex) : mutex_(mutex)
  {
    mutex_.lock();
  }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  ~WriteLock() RELEASE()
  {
    mutex_.unlock();
  }

private:
  SharedMutex& mutex_;
};

/// One of the readers to the end of the scope.
class SCOPED_CAPABILITY ReadLock
{
public:
  explicit ReadLock(SharedMutex& mutex) ACQUIRE_SHARED(mutex) : mutex_(mutex)
  {
    mutex_.lock_shared();
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
  ~ReadLock() RELEASE_GENERIC()
  {
    mutex_.unlock_shared();
  }

private:
  SharedMutex& mutex_;
};

/// Waits on a mutex that the caller holds, whatever holds it (LockGuard, UniqueLock), and holds it again on return.
/// It may wake for no reason, and there are no predicates because the analysis does not see into them: wait in a loop.
///
///   const LockGuard lock(mutex_);
///   while (queue_.empty() && !stopping_)
///     work_.wait(mutex_);
class CondVar
{
public:
  void notify_one() noexcept
  {
    condition_.notify_one();
  }
  void notify_all() noexcept
  {
    condition_.notify_all();
  }

  void wait(Mutex& mutex) REQUIRES(mutex)
  {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// @return false when the time was over
  template <typename Clock, typename Duration>
  bool wait_until(Mutex& mutex, const std::chrono::time_point<Clock, Duration>& end) REQUIRES(mutex)
  {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const auto status = condition_.wait_until(lock, end);
    lock.release();
    return status == std::cv_status::no_timeout;
  }
  /// @return false when the time was over
  template <typename Rep, typename Period>
  bool wait_for(Mutex& mutex, const std::chrono::duration<Rep, Period>& time) REQUIRES(mutex)
  {
    return wait_until(mutex, std::chrono::steady_clock::now() + time);
  }

private:
  std::condition_variable condition_;
};
}
