#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// Identifies a node to the raft engine; from 1 to 2^63 − 1, never reused.
using EngineId = std::uint64_t;

using Index = std::uint64_t; ///< position in the raft log, the first is 1; not a seqno

/// What a node is in the agreement. A learner gets the log and has no vote.
enum class Role : std::uint8_t
{
  none = 0,
  learner = 1,
  voter = 2,
};

struct MemberChange
{
  EngineId id = 0;
  Role role = Role::none; ///< that the node gets; none removes it

  bool operator==(const MemberChange&) const = default;
};

/// What one entry of the log changes. One member changes at once, if nothing else is said. Several make the
/// configuration joint, in which the old voters and the new ones must both agree. No member at all leaves the joint
/// configuration.
struct ConfigurationChange
{
  static constexpr std::size_t max_members = 16;

  std::vector<MemberChange> members = {};
  bool joint_alone = false; ///< one member makes the configuration joint, too; of one only

  bool operator==(const ConfigurationChange&) const = default;
  bool leaves_joint() const
  {
    return members.empty();
  }
  bool makes_joint() const
  {
    return members.size() > 1 || joint_alone;
  }
  /// Error::invalid for too many members, a member twice, an id or role that cannot be, or `joint_alone` of others than
  /// one.
  Result<void> validate() const;
};

/// Who takes part, in the words of raft. Lists are sorted.
struct Configuration
{
  static constexpr std::size_t max_members = 255; ///< of each list

  std::vector<EngineId> voters = {};
  std::vector<EngineId> learners = {};
  std::vector<EngineId> voters_outgoing = {}; ///< the voters before, while the configuration is joint
  std::vector<EngineId> learners_next = {};   ///< outgoing voters that become learners when it is joint no more

  bool operator==(const Configuration&) const = default;
  bool joint() const
  {
    return !voters_outgoing.empty();
  }
  /// Outgoing voters are voters too.
  Role role(EngineId id) const;
  /// Nobody else takes part.
  bool is_alone(EngineId id) const
  {
    return voters == std::vector{id} && learners.empty() && !joint();
  }
  /// Error::invalid unless lists are sorted and within bounds, ids can be, at least one node votes, no voter is a
  /// learner, and next learners are outgoing voters and no others.
  Result<void> validate() const;
  /// The configuration once `change` is applied to this one.
  /// @return Error::invalid for a change that cannot be made here, or whose members have their roles already
  Result<Configuration> after(const ConfigurationChange& change) const;
  /// For logs: "voters 1 2 3, learners 4".
  std::string describe() const;
};

/// What a leader knows of another node of the configuration.
struct PeerProgress
{
  EngineId id = 0;
  Index matched = 0;     ///< up to where its log is known to be this one, durably
  bool active = false;   ///< it answered in this term, at most an election time-out (`election_ticks`) ago
  bool stranded = false; ///< it lacks entries that the log no longer has
  Seqno seqno = 0;       ///< of the last transaction up to `matched`; 0 where nothing says it. Not from the engine

  bool operator==(const PeerProgress&) const = default;
};
}
