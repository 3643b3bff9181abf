#pragma once

#include "peer/frames.h"
#include "peer/lane_loop.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace concordat::peer
{
/// A connection on which this node speaks to another: sends what waits in the queue, as fast as the other takes it.
/// Belongs to the thread of its lane.
class Outgoing : public std::enable_shared_from_this<Outgoing>
{
public:
  /// @param greeted  of the lane's `io`
  Outgoing(LaneLoop& lane, std::shared_ptr<PeerState> peer, Greeted greeted, LaneLoop::Lost lost);

  void start();
  void close();
  /// There is something in the queue again.
  void wake();
  void check_time(std::chrono::steady_clock::time_point now);
  const std::shared_ptr<PeerState>& peer() const
  {
    return peer_;
  }

private:
  void listen();
  void send_turn();
  bool compose();
  std::function<void()> again();

  LaneLoop& lane_;
  const std::shared_ptr<PeerState> peer_;
  LaneState& state_;
  const std::unique_ptr<Wire> wire_;
  const LaneLoop::Lost lost_;
  std::optional<Cutter> message_; ///< that is being sent
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point last_sent_;
  std::uint64_t sent_;   ///< by the wire, up to `last_sent_`
  bool sending_ = false; ///< a turn comes by itself
  bool closed_ = false;
};
}
