#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "net/socket.h"
#include "peer/account.h"
#include "peer/greeting.h"
#include "peer/options.h"
#include "peer/peer_state.h"
#include "peer/refusals.h"

#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace concordat::peer
{
class Incoming;
class Outgoing;

/// One lane: a thread, and all connections of the lane whose other end is known. A connection is touched by this thread
/// only. Nothing else happens on it, so that a message of the urgent lane waits for nothing but other urgent messages.
class LaneLoop
{
public:
  /// Called on this thread when a connection of this node to another has ended. @param lived  how long there was one
  using Lost = std::function<void(std::chrono::steady_clock::duration lived)>;

  /// @param options, clock, callbacks, refusals  outlive it
  LaneLoop(Lane lane, const Options& options, const base::Clock& clock, const Callbacks& callbacks, Refusals& refusals);
  ~LaneLoop();
  LaneLoop(const LaneLoop&) = delete;
  LaneLoop& operator=(const LaneLoop&) = delete;

  void start();
  /// From any other thread: closes the connections, ends the thread and waits for it.
  void stop();

  // From any thread:
  void adopt(Greeted incoming);
  void adopt(std::shared_ptr<PeerState> peer, Greeted outgoing, Lost lost);
  /// Ends the connection to a node, if there is one.
  void drop(const std::shared_ptr<PeerState>& peer);
  /// There is something in the queue to a node again.
  void wake(const NodeId& node);
  /// Asks anew who may speak.
  void check_membership();
  struct Inbound
  {
    bool connected = false;
    std::uint64_t received = 0; ///< messages
    std::uint64_t held = 0;     ///< bytes that nobody has let go of
  };
  /// By who sends.
  std::map<NodeId, Inbound> inbound() const EXCLUDES(mutex_);
  /// Connections at present.
  std::uint64_t connections() const
  {
    return connections_.load(std::memory_order_relaxed);
  }

  // The rest is for connections, on the thread.
  const LaneOptions& limits() const
  {
    return options_.lanes[static_cast<std::size_t>(lane_)];
  }
  const Options& options() const
  {
    return options_;
  }
  Lane lane() const
  {
    return lane_;
  }
  std::chrono::steady_clock::time_point now() const
  {
    return clock_.steady();
  }
  boost::asio::io_context& io()
  {
    return io_;
  }
  void deliver(Received message);
  void refused(const NodeId& node, Refusal reason);
  void forget(const std::shared_ptr<Incoming>& incoming) EXCLUDES(mutex_);
  void forget(const std::shared_ptr<Outgoing>& outgoing);

  /// Room that connections share, because none needs it longer than a call.
  std::array<char, std::size_t{16} << 10> decrypted;
  std::string composed;

private:
  struct Sender
  {
    std::shared_ptr<Account> account;
    std::shared_ptr<Incoming> connection; ///< null if there is none
  };

  void take(Greeted incoming) EXCLUDES(mutex_);
  void take(std::shared_ptr<PeerState> peer, Greeted outgoing, Lost lost);
  std::vector<std::shared_ptr<Incoming>> incoming() const EXCLUDES(mutex_);
  void cut_off(const NodeId& node) EXCLUDES(mutex_);
  void close_all();
  void tick();

  const Lane lane_;
  const Options& options_;
  const base::Clock& clock_;
  const Callbacks& callbacks_;
  Refusals& refusals_;
  boost::asio::io_context io_{1};
  net::Timer timer_{io_};
  std::map<NodeId, std::shared_ptr<Outgoing>> outgoing_;
  mutable base::Mutex mutex_;
  /// Changed by the thread alone. Stays when a connection ends: as long as the node may speak, or owes something.
  std::map<NodeId, Sender> senders_ GUARDED_BY(mutex_);
  std::atomic<bool> membership_changed_{false}; ///< and this thread will look
  std::atomic<std::uint64_t> connections_{0};
  std::thread thread_;
};
}
