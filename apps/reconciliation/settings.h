#pragma once

#include "concordat/application.h"
#include "reconciliation/schema.h"
#include "reconciliation/text_rules.h"
#include "reconciliation/votes.h"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
/// What the members have agreed on about one data set.
struct Settings
{
  Round round = {}; ///< the number of the data set, and the round that votes go to; both from 1
  std::uint64_t vote_threshold = 3;
  bool total_votes_count = false; ///< reports tell how many votes there are
  TextRule text_rule = TextRule::normalise;
  Schema schema = {};

  bool operator==(const Settings&) const = default;
};

/// Where the agreement lies: name of a data set → JSON object with a member for each of the settings. Written when the
/// service is created, later by proposals; the application only reads it, in the transaction that reads or writes the
/// votes, so that no two nodes and no two answers about one state can go by different rules.
inline constexpr std::string_view data_sets_table = "public:ccf.gov.reconciliation.data_sets";
inline constexpr std::string_view default_data_set = "default";

/// What the service begins with.
/// @param configuration the `application` object of the node's configuration
/// @return Error::invalid naming the path of the wrong key
Result<Settings> initial_settings(const boost::json::object& configuration);

/// The entry of `data_sets_table` for these settings.
GovernedWrite governed_write(const Settings& settings);

/// What is agreed on now. Cheap when asked again: what was parsed last in this thread is kept.
/// @return Error::not_found if the service has no such data set; Error::corrupt if the entry cannot be read
Result<Settings> agreed_settings(ReadTransaction& state);

/// A sentence for each setting that the configuration names with another value than was agreed on; it has no effect.
/// @param configuration as for `initial_settings`, which has accepted it
std::vector<std::string> overruled(const boost::json::object& configuration, const Settings& agreed);
}
