#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "base/worker_pool.h"
#include "concordat/http.h"
#include "node/peer_message.h"
#include "peer/channel.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

/// Answers to forwarded requests that are too large for one message: cut into pieces, each of which the node that hands
/// them to the client asks for. So neither holds more than a few, however slow the client is.
namespace concordat::node
{
/// Pieces of one answer as they come from the primary, on the node that was asked by the client.
///
/// `next` is for one thread, all else for any.
class IncomingStream final : public BodySource
{
public:
  /// Asks for one more piece, or (false) says that no more is wanted.
  using Ask = std::function<void(bool more)>;
  static constexpr unsigned ahead = 4; ///< pieces that are asked for before they are wanted
  static constexpr std::chrono::milliseconds patience{20'000};

  /// @param wait_for  as long as `next` waits for a piece
  explicit IncomingStream(Ask ask, std::chrono::milliseconds wait_for = patience);
  ~IncomingStream() override;
  IncomingStream(const IncomingStream&) = delete;
  IncomingStream& operator=(const IncomingStream&) = delete;

  /// Asks for the first pieces. To be called once, when they can be taken.
  void begin();
  /// Waits for the piece. Throws if the primary has broken off, or says nothing for too long: what was sent to the
  /// client must not look whole.
  bool next(std::string& piece) override EXCLUDES(mutex_);

  void take(ForwardedPiece piece) EXCLUDES(mutex_);
  void break_off() EXCLUDES(mutex_);

private:
  const Ask ask_;
  const std::chrono::milliseconds wait_for_;
  base::Mutex mutex_;
  base::CondVar arrived_;
  std::deque<std::string> pieces_ GUARDED_BY(mutex_);
  std::uint64_t received_ GUARDED_BY(mutex_) = 0;
  bool ended_ GUARDED_BY(mutex_) = false;
  bool broken_ GUARDED_BY(mutex_) = false;
};

/// The other end, on the primary: bodies that are sent piece by piece to those who asked. Any thread may call.
class OutgoingStreams
{
public:
  struct Options
  {
    std::function<bool(const peer::NodeId&, PeerMessage, peer::Payload)> send;
    std::size_t most = 64; ///< at once: each may hold a state of the store
    std::chrono::seconds patience{60};
  };
  /// @param pool, clock  outlive it
  OutgoingStreams(Options options, base::Executor& pool, const base::Clock& clock)
      : options_(std::move(options)),
        pool_(pool),
        clock_(clock)
  {
  }

  /// @param first  what was read of it already
  /// @return false if there are too many
  bool add(const peer::NodeId& to, std::uint64_t id, std::string first, std::shared_ptr<BodySource> source)
      EXCLUDES(mutex_);
  /// A message of kind `forwarded_more`.
  void take(const peer::Received& message) EXCLUDES(mutex_);
  /// Lets go of those of which nobody has wanted anything for long. To be called from time to time.
  void look() EXCLUDES(mutex_);
  std::size_t count() const EXCLUDES(mutex_);

private:
  using Key = std::pair<peer::NodeId, std::uint64_t>;
  struct Stream
  {
    std::string first;                  ///< comes before what the source gives
    std::shared_ptr<BodySource> source; ///< touched by the job while there is one
    unsigned wanted = 0;
    bool busy = false; ///< a job waits or runs
    std::chrono::steady_clock::time_point touched;
  };
  void schedule(const Key& key);
  void produce(const Key& key) EXCLUDES(mutex_);
  void drop(const Key& key) EXCLUDES(mutex_);

  const Options options_;
  base::Executor& pool_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<Key, std::shared_ptr<Stream>> streams_ GUARDED_BY(mutex_);
};
}
