#pragma once

#include "peer/options.h"
#include "peer/send_queue.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace concordat::peer
{
/// One lane to another node.
struct LaneState
{
  LaneState(Lane lane, const Options& options)
      : queue(lane, options.lanes[static_cast<std::size_t>(lane)].queue_limit, options.offline_limit)
  {
  }

  SendQueue queue;
  std::atomic<bool> connected{false};
  std::atomic<std::uint16_t> version{0}; ///< of the last connection
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> sent{0};         ///< messages
  std::atomic<std::uint64_t> dropped{0};      ///< messages, to make room
  std::atomic<std::uint64_t> refused{0};      ///< messages that were not taken
  std::atomic<std::uint64_t> keys_renewed{0}; ///< of this connection
  std::atomic<std::uint64_t> alive{0};        ///< times that it had nothing to say but that it lives
};

/// Another node that this one sends to, for as long as it is named, whatever becomes of connections and addresses. Used
/// by any thread.
struct PeerState
{
  PeerState(NodeId node, const Options& options)
      : id(std::move(node)),
        lanes{LaneState(Lane::urgent, options), LaneState(Lane::bulk, options)}
  {
  }

  LaneState& lane(Lane lane)
  {
    return lanes[static_cast<std::size_t>(lane)];
  }

  const NodeId id;
  std::array<LaneState, lane_count> lanes;
};
}
