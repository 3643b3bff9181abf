#pragma once

#include "concordat/application.h"
#include "concordat/transaction.h"
#include "http/server.h"

#include <boost/json/value.hpp>

#include <cstdint>
#include <vector>

namespace concordat::node
{
/// The name of a policy as answers and API descriptions have it.
std::string_view policy_name(AuthPolicy policy);

/// Tries an endpoint's policies in order (http-api.md §3.2). Parses a connection's certificate once.
/// @param committed seqno of the state if it is a committed one: the same caller is then known at once
/// @param details filled with one detail per policy when none passes
/// @return nothing if none passes
std::optional<Caller> authenticate(
    const std::vector<AuthPolicy>& policies, http::Session& session, ReadTransaction& state,
    std::optional<Seqno> committed, std::int64_t unix_seconds, boost::json::array& details);
}
