#pragma once

#include "concordat/error.h"
#include "consensus/log_entry.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// What a node says of itself when the roll is called: by a node that comes back, and to it in answer.
/// Wire, little-endian: u8 1, the numbers in this order (u64), u8 of bits (1: returning, 2: outgoing voters follow);
/// for voters, coming and former ids, and outgoing voters if they do, each u16 count, and u64 each.
struct Presence
{
  static constexpr std::size_t max_ids = 1'024; ///< of each list

  std::uint64_t start = 0;      ///< random, of the sender's start
  std::uint64_t answers = 0;    ///< the start of its receiver that it answers; 0: it calls
  EngineId id = 0;              ///< that the sender takes part under
  EngineId receiver = 0;        ///< that the sender knows its receiver under; 0: unknown
  EngineId admitted = 0;        ///< of a primary: that its receiver takes part under from this start on; 0: none yet
  View term = 0;                ///< the highest that the sender knows
  LogPosition last = {};        ///< where its log ends
  bool returning = false;       ///< it may lack what it has acknowledged
  LogPosition applied = {};     ///< what it knows to be committed ends here
  std::vector<EngineId> voters; ///< of the configuration there
  std::vector<EngineId> coming = {}; ///< voters of changes that its log holds behind that
  /// Ids that it had before. A majority has agreed that nothing is promised under them any more.
  std::vector<EngineId> former = {};
  /// While the configuration there is joint: its outgoing voters, of whom a majority must agree, too.
  std::vector<EngineId> outgoing = {};

  bool operator==(const Presence&) const = default;
  /// @pre no list is longer than `max_ids`
  std::string encode() const;
  /// Any bytes: Error::invalid for what is no presence.
  static Result<Presence> decode(std::string_view bytes);
};
}
