#pragma once

#include "base/mutex.h"
#include "peer/channel.h"

#include <cstdint>
#include <deque>
#include <optional>

namespace concordat::peer
{
/// What waits to be sent to one node in one lane, bounded in bytes. Any thread may push; one, the lane's, takes.
///
/// When there is no room, the urgent lane drops what has waited longest, because what replaces it is newer, and the
/// bulk lane takes no more. The message that is just being sent counts, and is not dropped: half of it has left.
class SendQueue
{
public:
  struct Message
  {
    std::uint16_t kind = 0;
    Payload payload;
  };
  struct Pushed
  {
    bool taken = false;
    bool wake = false;         ///< the taker has found nothing, and waits to be told
    std::uint64_t dropped = 0; ///< older messages that made room
  };

  /// @param limit    bytes that may wait, with some for each message
  /// @param offline  bytes that may wait in the urgent lane while nobody takes: what is old by then is worth nothing
  SendQueue(Lane lane, std::uint64_t limit, std::uint64_t offline);

  Pushed push(Message message) EXCLUDES(mutex_);

  /// The next message, to be sent now. @pre the one before has left @return nothing if there is none: `push` says when
  std::optional<Message> take() EXCLUDES(mutex_);
  /// The message that was taken is on its way whole: it is never sent again, whatever becomes of it.
  void left() EXCLUDES(mutex_);
  /// Nobody takes for now. If the message that was taken has not left, it comes again first.
  /// @return how many messages were dropped
  std::uint64_t interrupt() EXCLUDES(mutex_);
  /// Somebody takes from now on, and will look without being told.
  void resume() EXCLUDES(mutex_);

  std::uint64_t bytes() const EXCLUDES(mutex_);

private:
  std::uint64_t make_room(std::uint64_t limit) REQUIRES(mutex_);

  const Lane lane_;
  const std::uint64_t limit_;
  const std::uint64_t offline_;
  mutable base::Mutex mutex_;
  std::deque<Message> waiting_ GUARDED_BY(mutex_);
  std::optional<Message> leaving_ GUARDED_BY(mutex_);
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0; ///< of both
  bool online_ GUARDED_BY(mutex_) = false;
  bool idle_ GUARDED_BY(mutex_) = false;
};
}
