#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "concordat/error.h"
#include "peer/channel.h"
#include "peer/door.h"
#include "peer/lane_loop.h"
#include "peer/options.h"
#include "peer/peer_state.h"
#include "peer/refusals.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace concordat::peer
{
/// What an operator and tests see of the channel; counters since the start.
struct Metrics
{
  struct ToNode
  {
    bool connected = false;
    std::uint16_t version = 0; ///< of the protocol, of the last connection; 0 before the first
    std::uint64_t connections = 0;
    std::uint64_t waiting_bytes = 0;
    std::uint64_t sent = 0;         ///< messages
    std::uint64_t dropped = 0;      ///< messages, for newer ones (urgent)
    std::uint64_t refused = 0;      ///< messages that were not taken
    std::uint64_t keys_renewed = 0; ///< of this connection
    std::uint64_t alive = 0;        ///< times that there was nothing to say but that this node lives
  };

  std::map<NodeId, std::array<ToNode, lane_count>> to;
  std::array<std::map<NodeId, LaneLoop::Inbound>, lane_count> from;
  Refusals::Counts refused{};           ///< by `Refusal`
  std::uint64_t logged = 0;             ///< lines about what went wrong
  std::uint64_t connections = 0;        ///< whose other end is known
  std::uint64_t waiting_handshakes = 0; ///< of those who connected to this node

  std::uint64_t refused_for(Refusal reason) const
  {
    return refused[static_cast<std::size_t>(reason)];
  }
};

/// The channel between real nodes: mutually authenticated TLS 1.3 over TCP, with a connection for each lane from each
/// node to each other. See README.md. Public functions may be called from any thread but its own.
class Network : public Channel
{
public:
  /// Binds the address, and listens and calls from now on.
  /// @param clock  outlives it
  /// @return Error::io naming the address that cannot be bound; Error::invalid for options that cannot be
  static Result<std::unique_ptr<Network>>
  start(const Options& options, const base::Clock& clock, const Callbacks& callbacks);
  ~Network() override;

  /// Ends all connections and threads. No callback is called any more when it returns, and nothing is sent. Idempotent.
  void stop();

  void set_peers(const std::map<NodeId, std::string>& addresses) override EXCLUDES(mutex_);
  bool send(const NodeId& to, Lane lane, std::uint16_t kind, Payload payload) override EXCLUDES(mutex_);
  void membership_changed() override;

  /// What this node shows in greetings from now on: a renewed certificate of the same key.
  /// @return Error::invalid if it cannot be used, or is another node's
  Result<void> set_identity(const Identity& identity);

  const NodeId& id() const
  {
    return id_;
  }
  /// The address that was bound, host:port, with the actual port.
  const std::string& address() const
  {
    return address_;
  }
  Metrics metrics() const EXCLUDES(mutex_);

  /// Open files that it may need at once: for whoever divides those of the process.
  /// @param nodes  that take part, at most
  static std::uint64_t most_descriptors(const Options& options, std::uint64_t nodes);

private:
  Network(const Options& options, const base::Clock& clock, const Callbacks& callbacks, NodeId id);

  LaneLoop& loop(Lane lane)
  {
    return *loops_[static_cast<std::size_t>(lane)];
  }
  void connected(const std::shared_ptr<Caller>& caller, Greeted greeted);

  const Options options_;
  const Callbacks callbacks_;
  const NodeId id_;
  std::string address_;
  Refusals refusals_;
  const std::array<std::unique_ptr<LaneLoop>, lane_count> loops_;
  Door door_;
  mutable base::Mutex mutex_;
  std::map<NodeId, std::shared_ptr<PeerState>> peers_ GUARDED_BY(mutex_);
  bool stopped_ = false;
};
}
