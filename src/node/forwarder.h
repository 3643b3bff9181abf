#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "concordat/transaction.h"
#include "http/server.h"
#include "node/forwarded_stream.h"
#include "node/peer_message.h"
#include "peer/channel.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace concordat::node
{
/// Hands requests on to the primary and its answers back to who asked (http-api.md §2.6).
///
/// A request leaves once at most: whatever becomes of it afterwards, it is never sent again, because nobody here can
/// know whether it took effect. Who asked is answered once: with the primary's answer, or when that does not come in
/// time or another node leads. Any thread may call.
class Forwarder
{
public:
  /// Who leads, and in which view.
  struct Primary
  {
    peer::NodeId node;
    View view = 0;

    bool operator==(const Primary&) const = default;
  };
  struct Options
  {
    /// @return false if the message is not taken, and will never arrive
    std::function<bool(const peer::NodeId&, PeerMessage, peer::Payload)> send;
    /// Nothing if it is not known, or if it is this node.
    std::function<std::optional<Primary>()> primary;
    /// Whether it is this node. Then nobody who was asked before leads any more.
    std::function<bool()> leads = [] { return false; };
    std::size_t max_waiting = 10'000;            ///< requests
    std::chrono::milliseconds look_interval{20}; ///< at the time, and at who leads
  };

  Forwarder(Options options, const base::Clock& clock);
  ~Forwarder();

  /// Looks at the time by itself from now on, on a thread of its own, until `stop`.
  void start();
  /// Ends that, and answers everybody who waits. Idempotent.
  void stop();

  /// @param view     of the session of who asks (http-api.md §2.4), where the primary must be for them
  /// @param timeout  within which the answer has to come
  void forward(const std::shared_ptr<http::Exchange>& exchange, View view, std::chrono::milliseconds timeout)
      EXCLUDES(mutex_);

  /// A message of kind `forwarded_answer`.
  void take(const peer::Received& message) EXCLUDES(mutex_);
  /// A message of kind `forwarded_place`: who has to be told that nothing is known is told the transaction's id.
  void take_place(const peer::Received& message) EXCLUDES(mutex_);
  /// A message of kind `forwarded_stream`: the answer goes on as its pieces come.
  void take_stream(const peer::Received& message) EXCLUDES(mutex_);
  /// A message of kind `forwarded_piece`.
  void take_piece(const peer::Received& message) EXCLUDES(mutex_);
  /// Answers those whose time is over, and those whose primary leads no longer.
  void look() EXCLUDES(mutex_);

  std::size_t waiting() const EXCLUDES(mutex_);

private:
  struct Waiting
  {
    std::shared_ptr<http::Exchange> exchange;
    Primary primary;
    std::chrono::steady_clock::time_point deadline;
    std::optional<TxId> txid = {}; ///< of the transaction that it has become
  };
  static void give_up(const Waiting& one, Response response);
  std::shared_ptr<http::Exchange> take_out(std::uint64_t id) EXCLUDES(mutex_);
  /// Of who was asked under that number, and has answered.
  std::shared_ptr<http::Exchange> answered_by(const peer::NodeId& node, std::uint64_t id) EXCLUDES(mutex_);

  const Options options_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  base::CondVar changed_; ///< somebody waits, or it stops
  std::map<std::uint64_t, Waiting> waiting_ GUARDED_BY(mutex_);
  struct Streaming
  {
    peer::NodeId node;
    std::weak_ptr<IncomingStream> body; ///< that the connection of the client holds
  };
  std::map<std::uint64_t, Streaming> streams_ GUARDED_BY(mutex_); ///< by request
  std::uint64_t last_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};
}
