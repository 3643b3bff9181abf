#pragma once

#include "peer/account.h"
#include "peer/frames.h"
#include "peer/lane_loop.h"

#include <chrono>
#include <functional>
#include <memory>

namespace concordat::peer
{
/// A connection on which another node speaks to this one. Reads in turns, so that no sender keeps others waiting, and
/// not at all while too much of what it sent is held. Belongs to the thread of its lane.
class Incoming : public std::enable_shared_from_this<Incoming>
{
public:
  /// @param greeted  of the lane's `io`
  Incoming(LaneLoop& lane, Greeted greeted, std::shared_ptr<Account> account);

  void start();
  void close();
  void check_time(std::chrono::steady_clock::time_point now);
  const NodeId& node() const
  {
    return node_;
  }

private:
  void wait();
  void read_turn();
  void deliver(std::uint16_t kind, std::string bytes);
  void end(Refusal reason);

  LaneLoop& lane_;
  const std::unique_ptr<Wire> wire_;
  const NodeId node_;
  const std::shared_ptr<Account> account_;
  std::function<void()> freed_; ///< has the thread read on
  FrameReader reader_;
  std::chrono::steady_clock::time_point last_heard_;
  bool paused_ = false; ///< because too much is held
  bool closed_ = false;
};
}
