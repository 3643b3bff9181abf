#pragma once

#include "base/mutex.h"
#include "base/worker_pool.h"
#include "concordat/http.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace concordat::http
{
/// The body of one streamed answer, between the threads that make its pieces and the connection that sends them.
///
/// The source is asked on the executor's threads only, by one at a time and a few pieces ahead of what has been taken;
/// it is let go of there too, because the end of a large snapshot takes long. Each piece is a job of its own, so that
/// streams take turns. `take` and `cancel` are for the connection's thread.
class StreamedBody : public std::enable_shared_from_this<StreamedBody>
{
public:
  /// Pieces that lie ready at most.
  static constexpr std::size_t pieces_ahead = 3;

  enum class Outcome
  {
    piece,
    wait, ///< `notify` is called once there is more to take
    end,
    broken, ///< the source has failed; the log says why
  };

  /// @param executor  outlives this
  /// @param chunked   pieces, and the end, come in chunked transfer coding (RFC 9112 §7.1)
  /// @param notify    called on any thread
  StreamedBody(
      std::shared_ptr<BodySource> source, base::Executor& executor, std::string owner, bool chunked,
      std::function<void()> notify);
  StreamedBody(const StreamedBody&) = delete;
  StreamedBody& operator=(const StreamedBody&) = delete;

  void start() EXCLUDES(mutex_);
  /// @param piece  what was taken before; its memory is used again
  Outcome take(std::string& piece) EXCLUDES(mutex_);
  /// Nothing more is taken.
  void cancel() EXCLUDES(mutex_);

  /// Bytes that lie ready.
  std::size_t size() const EXCLUDES(mutex_);

private:
  enum class End
  {
    none,
    regular,
    broken,
  };

  bool wants_more() const REQUIRES(mutex_);
  void schedule() REQUIRES(mutex_);
  void produce() EXCLUDES(mutex_);
  End ask_source(std::string& piece) EXCLUDES(mutex_);
  static void frame(std::string& piece);

  base::Executor& executor_;
  const std::string owner_;
  const bool chunked_;
  const std::function<void()> notify_;

  mutable base::Mutex mutex_;
  std::shared_ptr<BodySource> source_; ///< touched by the job while there is one, else under the lock
  std::deque<std::string> ready_ GUARDED_BY(mutex_);
  std::string spare_ GUARDED_BY(mutex_);
  std::size_t ready_bytes_ GUARDED_BY(mutex_) = 0;
  End end_ GUARDED_BY(mutex_) = End::none;
  bool producing_ GUARDED_BY(mutex_) = false; ///< a job waits or runs
  bool waited_for_ GUARDED_BY(mutex_) = false;
  bool cancelled_ GUARDED_BY(mutex_) = false;
};
}
