#pragma once

#include "base/clock.h"
#include "net/socket.h"
#include "peer/backoff.h"
#include "peer/greeting.h"
#include "peer/options.h"
#include "peer/peer_state.h"
#include "peer/refusals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::peer
{
/// Sees to it that there is a connection to one node in one lane: looks its address up, connects, greets, hands the
/// connection over, and begins again when it has ended or did not come about. Belongs to the thread of the door.
class Caller : public std::enable_shared_from_this<Caller>
{
public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
  struct Surroundings
  {
    boost::asio::io_context& io;
    const Options& options;
    const base::Clock& clock;
    const House& house;
    Refusals& refusals;
    std::function<net::SslContext()> context;
    /// Takes what was connected.
    std::function<void(const std::shared_ptr<Caller>&, Greeted)> connected;
    /// Is told where a node is.
    std::function<void(const NodeId&, const Endpoints&)> located;
  };

  /// @param surroundings  outlive it
  Caller(const Surroundings& surroundings, std::shared_ptr<PeerState> peer, Lane lane, std::string address);

  /// Does what is due. Called again and again.
  void check_time(std::chrono::steady_clock::time_point now);
  /// The node is there: if this waits before its next try, it need not.
  void hurry();
  /// What was handed over has ended.
  void lost(std::chrono::steady_clock::duration lived);
  /// Ends what goes on, and does nothing any more.
  void stop();

  const std::shared_ptr<PeerState>& peer() const
  {
    return peer_;
  }
  Lane lane() const
  {
    return lane_;
  }
  const std::string& address() const
  {
    return address_;
  }

private:
  enum class Step
  {
    waiting,
    trying,
    connected,
    stopped,
  };

  void begin();
  void connect();
  void greet(net::Socket socket);
  void greeted(std::expected<Greeted, NotGreeted> outcome);
  /// @param about  tells reasons apart, of which each is logged once
  void failed(const std::string& about, const std::string& why, Refusal ours = Refusal::none);
  void wait();
  bool is_current(std::uint64_t attempt) const
  {
    return step_ == Step::trying && attempt == attempt_;
  }

  const Surroundings& around_;
  const std::shared_ptr<PeerState> peer_;
  const Lane lane_;
  const std::string address_;
  Backoff backoff_;
  Step step_ = Step::waiting;
  std::chrono::steady_clock::time_point due_; ///< the next try, or the end of this one
  std::uint64_t attempt_ = 0;                 ///< what came of an earlier one is of no interest
  Endpoints endpoints_;                       ///< that are left to try
  boost::asio::ip::tcp::resolver resolver_;
  std::optional<net::Socket> socket_; ///< that is being connected
  std::shared_ptr<Greeting> greeting_;
};
}
