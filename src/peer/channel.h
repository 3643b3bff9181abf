#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::peer
{
/// Lower-case hex SHA-256 of a node's public key in DER (http-api.md §1.1).
using NodeId = std::string;

/// Each lane has a connection of its own from each node to each other: order holds within a lane, and nothing in one
/// waits for the other.
enum class Lane : std::uint8_t
{
  urgent = 0, ///< small and soon worth nothing: messages of the engine. When too many wait, the oldest are dropped
  bulk = 1,   ///< large: batches, ledger entries. When too much waits, no more is taken
};
constexpr std::size_t lane_count = 2;

/// Bytes to be sent, which may lie in several pieces and belong to somebody else: one batch goes to all nodes without
/// being copied for each. Cheap to copy; any thread may use it.
class Payload
{
public:
  Payload(std::string bytes) // NOLINT(google-explicit-constructor): a string is the simplest payload
  {
    auto owned = std::make_shared<const std::string>(std::move(bytes));
    state_ = std::make_shared<const State>(State{owned, {std::string_view(*owned)}, owned->size()});
  }
  /// @param owner  keeps what `pieces` point to alive and unchanged
  Payload(std::shared_ptr<const void> owner, std::vector<std::string_view> pieces)
  {
    std::uint64_t size = 0;
    for (const auto& piece : pieces)
      size += piece.size();
    state_ = std::make_shared<const State>(State{std::move(owner), std::move(pieces), size});
  }

  std::uint64_t size() const
  {
    return state_->size;
  }
  const std::vector<std::string_view>& pieces() const
  {
    return state_->pieces;
  }

private:
  struct State
  {
    std::shared_ptr<const void> owner;
    std::vector<std::string_view> pieces;
    std::uint64_t size = 0;
  };

  std::shared_ptr<const State> state_;
};

/// A whole message of another node. It says who sent it because the channel knows: no content can claim otherwise.
struct Received
{
  NodeId from;
  Lane lane = Lane::urgent;
  std::uint16_t kind = 0;
  std::string bytes;
  /// Counts the bytes to its sender for as long as it lives. When a sender has too many, the channel reads no more of
  /// them in that lane: whoever queues messages keeps this with them. It may outlive the channel.
  std::shared_ptr<const void> account = {};
};

/// What carries messages between the nodes of one service. A message arrives whole and at most once, or is lost; what
/// is sent in one lane to one node arrives in the order of sending. Any thread may call.
class Channel
{
public:
  virtual ~Channel() = default;

  /// Where the other nodes are (host:port). Who is not named is not sent to any more and what waits for them is
  /// dropped; a new address counts from now on. Whom this node listens to is another matter: `may_speak`.
  virtual void set_peers(const std::map<NodeId, std::string>& addresses) = 0;

  /// Queues a message. @return false if it is not taken: nobody of that name, too large, or (bulk) too much waits
  virtual bool send(const NodeId& to, Lane lane, std::uint16_t kind, Payload payload) = 0;

  /// Has everybody who is connected asked for again: who may not speak any more is cut off.
  virtual void membership_changed() = 0;
};

/// Takes a message; called on threads of the channel, one for each lane, so it has to be quick. Messages of one node
/// and lane come in order, one at a time.
using MessageSink = std::function<void(Received)>;
}
