#pragma once

#include "base/mutex.h"
#include "concordat/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace concordat::http
{
/// What other threads have for the I/O thread that owns a connection. It outlives the server when an exchange does, and
/// swallows what comes then. It holds, for each connection, one answer at most and a nudge for each thing that it waits
/// for, so its size is bounded by the number of connections.
class Mailbox
{
public:
  struct Answer
  {
    std::uint64_t connection = 0;
    Response response;
    bool close = false;
    /// What was asked, where it may still be needed until the answer is on its way. Let go by the owner, whose memory
    /// it is, and not by whoever answers.
    std::shared_ptr<const void> asked;
  };
  /// Goes on with a request. @return its answer, if there is one by then
  using Task = std::function<std::optional<Answer>()>;
  struct Content
  {
    std::vector<Answer> answers;
    std::vector<Task> tasks;
    std::vector<std::uint64_t> nudged;
  };

  /// @param wake  makes the owner call `take` soon; called under a lock when the first thing comes in, so that many
  ///              answers cost one wake-up
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void post(Answer answer) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    if (!wake_)
      return;
    content_.answers.push_back(std::move(answer));
    wake_if_first();
  }

  /// One for each connection at most.
  void post(Task task) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    if (!wake_)
      return;
    content_.tasks.push_back(std::move(task));
    wake_if_first();
  }

  /// Has the connection look at what it waits for.
  void nudge(std::uint64_t connection) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    if (!wake_)
      return;
    content_.nudged.push_back(connection);
    wake_if_first();
  }

  Content take() EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    return std::exchange(content_, {});
  }

  void close() EXCLUDES(mutex_)
  {
    Content dropped;
    const base::LockGuard lock(mutex_);
    wake_ = nullptr;
    std::swap(dropped, content_);
  }

private:
  void wake_if_first() REQUIRES(mutex_)
  {
    if (content_.answers.size() + content_.tasks.size() + content_.nudged.size() == 1)
      wake_();
  }

  base::Mutex mutex_;
  std::function<void()> wake_ GUARDED_BY(mutex_);
  Content content_ GUARDED_BY(mutex_);
};
}
