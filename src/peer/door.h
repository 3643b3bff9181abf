#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "net/socket.h"
#include "net/waiting_room.h"
#include "peer/caller.h"
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
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace concordat::peer
{
/// Where connections begin: a thread that accepts, calls, and greets on both ways, so that no handshake ever delays a
/// message. Whoever is known and welcome is handed on to a lane. Strangers are bounded in number and time, and cannot
/// take the places of those who come from where nodes are.
class Door
{
public:
  /// Called on the door's thread.
  struct Events
  {
    std::function<void(Greeted)> incoming;
    std::function<void(const std::shared_ptr<Caller>&, Greeted)> outgoing;
    /// The connection that a caller had to a node, or may have, is not wanted any more.
    std::function<void(const std::shared_ptr<PeerState>&, Lane)> unwanted;
  };

  /// @param options, clock, refusals  outlive it
  Door(const Options& options, const base::Clock& clock, House house, Refusals& refusals, Events events);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  /// @return the address that was bound
  Result<std::string> listen();
  void start();
  /// From any other thread: ends all that goes on, ends the thread and waits for it. The destructor also waits for the
  /// system when it looks up a name.
  void stop();

  // From any thread:
  void set_context(net::SslContext context) EXCLUDES(mutex_);
  void set_peers(std::vector<std::pair<std::shared_ptr<PeerState>, std::string>> peers);
  /// Runs something on the thread.
  void post(std::function<void()> job);

  /// Connections that nobody knows yet, that others have begun.
  std::uint64_t waiting() const
  {
    return rooms_[0]->total() + rooms_[1]->total();
  }

private:
  struct Guest
  {
    std::shared_ptr<Greeting> greeting;
    net::WaitingRoom::Place place;
    std::chrono::steady_clock::time_point due;
  };
  using Callers = std::array<std::shared_ptr<Caller>, lane_count>;

  net::SslContext context() const EXCLUDES(mutex_);
  void accept();
  bool accept_one();
  void greet(net::Socket socket, const boost::asio::ip::tcp::endpoint& from);
  void
  greeted(std::uint64_t id, const boost::asio::ip::tcp::endpoint& from, std::expected<Greeted, NotGreeted> outcome);
  void end(std::uint64_t id, Refusal reason);
  void pause(const std::string& why);
  bool is_where_nodes_are(std::uint64_t group) const;
  void replace(const std::vector<std::pair<std::shared_ptr<PeerState>, std::string>>& peers);
  void stop_calling(const Callers& callers);
  void tick();

  const Options& options_;
  const base::Clock& clock_;
  const House house_;
  Refusals& refusals_;
  const Events events_;
  boost::asio::io_context io_{1};
  net::Timer timer_{io_};
  net::Timer pause_{io_};
  net::ListeningSocket listener_{io_};
  const Caller::Surroundings around_;
  const std::array<std::shared_ptr<net::WaitingRoom>, 2> rooms_; ///< of strangers, and of where nodes are
  std::map<std::uint64_t, Guest> guests_;
  std::uint64_t last_guest_ = 0;
  std::map<NodeId, Callers> callers_;
  std::map<NodeId, std::set<std::uint64_t>> called_at_; ///< groups of addresses
  std::map<NodeId, std::uint64_t> calls_from_;          ///< the group of the last call that was welcome
  bool in_trouble_ = false;                             ///< and the log says so
  mutable base::Mutex mutex_;
  net::SslContext context_ GUARDED_BY(mutex_);
  std::thread thread_;
};
}
