#pragma once

#include "concordat/http.h"

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace concordat::http
{
/// Answers on their way from any thread to the I/O thread that owns their connection. It outlives the server when an
/// exchange does, and swallows what comes then.
class Mailbox
{
public:
  struct Answer
  {
    std::uint64_t connection = 0;
    Response response;
    bool close = false;
  };

  /// @param wake  makes the owner call `take` soon; called under a lock when the first answer comes in, so that many
  ///              answers cost one wake-up
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void post(Answer answer)
  {
    const std::lock_guard lock(mutex_);
    if (!wake_)
      return;
    answers_.push_back(std::move(answer));
    if (answers_.size() == 1)
      wake_();
  }

  std::vector<Answer> take()
  {
    const std::lock_guard lock(mutex_);
    return std::exchange(answers_, {});
  }

  void close()
  {
    std::vector<Answer> dropped;
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
    dropped.swap(answers_);
  }

private:
  std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<Answer> answers_;
};
}
