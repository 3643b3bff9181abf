#pragma once

#include "consensus/presence.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// Decides when a node that comes back from what it has sealed may take part again, and how.
///
/// Its disk may have been put back: it may lack what it has acknowledged, and have forgotten whom it voted for. As long
/// as that can matter it must not count.
/// 1. A primary that others have confirmed gives it a new id, under which it has promised nothing, and which joins as
///    any other: the majority that agrees on that does not hold this node.
/// 2. If too few others are up for that, it waits for every voter, and for those that may have become one unknown to
/// the
///    others. What was committed is then in the log of a voter, unless the disks of all that stored it were put back,
///    and so in the newest of theirs: this node helps that one alone to lead, in a term that nobody has seen, and takes
///    part for good once it has that one's log. Of a voter that has come back under another id, which is not one of
///    them yet, nothing is needed: the majority that gave it that id has all that it had acknowledged under the one
///    before.
class RollCall
{
public:
  struct Verdict
  {
    EngineId id = 0;        ///< that this node takes part under
    EngineId votes_for = 0; ///< the only one that it may vote for until its log is the leader's; 0: it may do anything
    View term = 0;          ///< that it begins with: it has voted in none from there on
    bool admitted = false;  ///< a primary has given it that id
    bool full_stop = false; ///< no voter was running
    std::vector<EngineId> missing = {}; ///< voters that nobody has waited for, as the operator has said

    bool operator==(const Verdict&) const = default;
  };

  /// @param start        random: only answers to this very start count
  /// @param accept_loss  the operator's word: a majority of the voters is enough
  RollCall(std::uint64_t start, bool accept_loss) : start_(start), accept_loss_(accept_loss) {}

  std::uint64_t start() const
  {
    return start_;
  }
  /// An answer of another node. @param node  as the way to the others names it
  void hear(const std::string& node, const Presence& presence);
  /// @param own      what this node says of itself
  /// @param patient  whoever could be expected to answer by now has had the time
  std::optional<Verdict> verdict(const Presence& own, bool patient) const;
  /// Voters that have not answered. @param own  as above
  std::vector<EngineId> missing(const Presence& own) const;
  /// The id that others know this node under, if it is newer than its own.
  EngineId id(const Presence& own) const;

private:
  const Presence& newest(const Presence& own) const;
  std::vector<EngineId> voters(const Presence& own) const;

  const std::uint64_t start_;
  const bool accept_loss_;
  std::map<std::string, Presence> heard_; ///< the last answer of each
};
}
