#pragma once

#include "consensus/configuration.h"

#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace concordat::consensus
{
/// Who should take part.
struct Wanted
{
  Wanted() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): mostly nobody leaves
  Wanted(std::vector<EngineId> who_votes, std::vector<EngineId> who_leaves = {})
      : voters(std::move(who_votes)),
        leaving(std::move(who_leaves))
  {
  }

  std::vector<EngineId> voters;
  /// Who is to hear for a while yet what becomes of the service, and no longer to vote.
  std::vector<EngineId> leaving;
};

/// What the primary knows when it looks whether the right nodes take part.
struct Membership
{
  EngineId self = 0;
  Configuration configuration;        ///< after what is applied, with no change under way
  Wanted wanted;                      ///< as the committed tables say
  std::vector<PeerProgress> progress; ///< of the others
  Index last = 0;                     ///< of the primary's log
  bool patient = false; ///< who has been admitted just now may still be getting the ledger, and not answer yet
};

/// The next step from the nodes that take part to those that should: a node that is new gets the log first, and a vote
/// once it has nearly all of it, so that it holds up nobody. Votes that change together do so in one joint change.
/// Never removes the primary itself, which hands over before.
std::optional<ConfigurationChange> next_change(const Membership& membership);
}
