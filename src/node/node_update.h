#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "node/configuration.h"
#include "node/identity.h"
#include "node/peer_message.h"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>

namespace concordat::node
{
/// What the configuration has this node say of itself, and its record in the ledger does not.
/// @param says       members of a record as they should be
/// @param addresses  the bound address of each interface, by name
/// @return nothing if there is no difference, or no record
Result<std::optional<NodeUpdate>> wanted_update(
    ReadTransaction& state, const Configuration& configuration, const Identity& identity,
    const std::map<std::string, std::string>& addresses, const boost::json::object& says);
}
