#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "consensus/sequencer.h"
#include "crypto/keys.h"
#include "kv/store.h"
#include "node/peer_directory.h"
#include "node/peer_message.h"
#include "peer/network.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::node
{
/// Why a message of another node is dropped.
enum class PeerFault
{
  unknown_kind,
  malformed,    ///< its bytes are no message
  not_a_member, ///< its sender takes no part any more
  wrong_sender, ///< it claims to come from another node than it comes from
  wrong_receiver,
  wrong_batches, ///< what lies beside it is not what it names
};
constexpr std::size_t peer_faults = 6;

/// The way of a node to the other ones: carries messages of consensus and forwarded requests over the channel, to and
/// from the nodes that the tables name (docs/architecture.md). A message may get lost; it never comes twice, never
/// under another node's name, and what is none is dropped, told once for each reason and counted.
///
/// It exists before the sequencer, which sends through it, and is told afterwards whom to deliver to. Public functions
/// may be called from any thread but the channel's own.
class PeerLink : public consensus::Peers
{
public:
  /// Makes what carries the messages of the node with that id, in a simulation. The callbacks are called until it is
  /// destroyed.
  using ChannelMaker = std::function<std::unique_ptr<peer::Channel>(const peer::NodeId& self, const peer::Callbacks&)>;
  struct Options
  {
    peer::Identity identity;                       ///< the endorsed certificate, and its key
    std::vector<crypto::PublicKey> service_keys;   ///< that the service has and had, the newest first
    std::string bind_address;                      ///< host:port between nodes; port 0 takes any
    std::string published_address;                 ///< where others reach it; empty: the address that is bound
    std::function<void(peer::Options&)> tune = {}; ///< other bounds and times of the channel, for tests
    ChannelMaker channel = {};                     ///< null: the channel between real nodes
  };
  /// A message of consensus with the batches that came beside it. Called on threads of the channel: quick.
  using Receiver = std::function<void(std::string, std::vector<std::shared_ptr<const consensus::Batch>>)>;
  /// A message of another kind, from a node that may speak. Called on threads of the channel: quick.
  using Handler = std::function<void(peer::Received)>;

  /// Listens and calls. Nobody may speak before `set_state` says who.
  /// @param clock  outlives it
  /// @return Error::io naming an address that cannot be bound, Error::invalid for an identity that cannot be used
  static Result<std::unique_ptr<PeerLink>> start(const Options& options, const base::Clock& clock);
  ~PeerLink() override;

  /// Ends all connections. Nobody is delivered to any more when it returns. Idempotent.
  void stop();

  /// What comes before this call is dropped: it is sent again.
  void deliver_to(Receiver receiver) EXCLUDES(mutex_);
  /// @param sequencer  outlives `stop`
  void deliver_to(consensus::Sequencer& sequencer);
  /// What a node says of itself when the roll is called. Called on threads of the channel: quick.
  using Roll = std::function<void(const peer::NodeId& from, std::string presence)>;
  void hear_roll(Roll roll) EXCLUDES(mutex_);
  /// @param kind  other than those of consensus
  void handle(PeerMessage kind, Handler handler) EXCLUDES(mutex_);

  /// Who takes part, from what is committed. To be called with the state at the start, and after each commit: where the
  /// tables of nodes are the same, it costs next to nothing. Calls must not overlap.
  void set_state(const kv::Snapshot& committed) EXCLUDES(mutex_);
  /// A renewed certificate of the same key.
  Result<void> set_identity(const peer::Identity& identity);

  /// Never waits. What cannot be sent is dropped: consensus sends it again.
  void send(consensus::EngineId to, std::string message, std::vector<std::shared_ptr<const consensus::Batch>> batches)
      override EXCLUDES(mutex_);
  void call_roll(const std::string& presence) override EXCLUDES(mutex_);
  void answer_roll(const std::string& node, const std::string& presence) override;
  std::vector<consensus::EngineId> ids_of(const std::string& node) const override EXCLUDES(mutex_);
  /// What is for another number is dropped from then on.
  void takes_part_as(consensus::EngineId id) override
  {
    own_id_ = id;
  }

  /// In the bulk lane. Never waits. @return false if it is not taken, and will never arrive
  bool send(const peer::NodeId& to, PeerMessage kind, peer::Payload payload);

  /// Nothing if the number is not known here. Who sent something under it counts too.
  std::optional<peer::NodeId> node_of(consensus::EngineId id) const EXCLUDES(mutex_);

  /// How long ago a message of a node's consensus came; nothing if none has.
  std::optional<std::chrono::milliseconds> last_heard(const peer::NodeId& node) const EXCLUDES(mutex_);

  /// host:port that is bound. @pre the channel is a real one, as for `metrics`
  const std::string& address() const
  {
    return network_->address();
  }
  /// host:port that others are told.
  const std::string& published_address() const
  {
    return published_;
  }

  std::uint64_t dropped(PeerFault fault) const
  {
    return faults_[static_cast<std::size_t>(fault)].load(std::memory_order_relaxed);
  }
  peer::Metrics metrics() const
  {
    return network_->metrics();
  }

private:
  /// What a node has said of itself, or another one of where it is.
  struct Heard
  {
    consensus::EngineId id = 0; ///< 0: not known
    std::string address;
  };

  explicit PeerLink(const base::Clock& clock) : clock_(clock) {}
  std::shared_ptr<const PeerDirectory> directory() const EXCLUDES(mutex_);
  void take(peer::Received message) EXCLUDES(mutex_);
  void take_consensus(peer::Received message) EXCLUDES(mutex_);
  void take_presence(const peer::Received& message) EXCLUDES(mutex_);
  void tell_addresses(const peer::NodeId& node) EXCLUDES(mutex_);
  void take_addresses(const peer::Received& message) EXCLUDES(mutex_);
  void hear(const peer::NodeId& from, consensus::EngineId id, std::string_view address) EXCLUDES(mutex_);
  std::map<peer::NodeId, std::string> known_addresses() const EXCLUDES(mutex_);
  void call_peers() EXCLUDES(mutex_);
  void drop(PeerFault fault, const peer::NodeId& from, const std::string& why);

  const base::Clock& clock_;
  std::unique_ptr<peer::Channel> channel_;
  peer::Network* network_ = nullptr; ///< the same, if it is a real one
  peer::NodeId self_;
  std::string published_;
  std::atomic<consensus::EngineId> own_id_{0}; ///< 0: as the tables say
  std::atomic<std::uint64_t> faults_[peer_faults] = {};

  mutable base::Mutex mutex_;
  std::shared_ptr<const PeerDirectory> directory_ GUARDED_BY(mutex_) = std::make_shared<PeerDirectory>();
  std::map<peer::NodeId, Heard> heard_ GUARDED_BY(mutex_);
  std::map<peer::NodeId, std::chrono::steady_clock::time_point> times_ GUARDED_BY(mutex_); ///< of their last messages
  std::shared_ptr<const Receiver> receiver_ GUARDED_BY(mutex_);
  std::shared_ptr<const Roll> roll_ GUARDED_BY(mutex_);
  std::map<PeerMessage, std::shared_ptr<const Handler>> handlers_ GUARDED_BY(mutex_);
  base::Mutex calling_; ///< held while the channel is told whom to call, so that the newest list wins
};
}
