#pragma once

#include "concordat/application.h"
#include "node/configuration.h"
#include "node/services.h"

#include <optional>
#include <string>
#include <string_view>

namespace concordat::node
{
/// The id of the node that leads, as far as this node knows.
std::optional<std::string> primary_id(const Services& services, ReadTransaction& state);

/// Where a node says that it can be reached on an interface; nothing if its record does not say.
std::optional<std::string>
published_address(ReadTransaction& state, std::string_view node_id, std::string_view interface);

/// Whether an endpoint is for the primary where no other setting says so (http-api.md §2.6).
Forwarding forwarding_of(const Endpoint& endpoint);

/// Whether an endpoint is the primary's on an interface with redirections (http-api.md §2.7).
bool is_redirected(const Endpoint& endpoint);

/// 307 to the primary, or 503 if nobody is known who could answer. @pre this node is not primary
Response redirect_to_primary(const Services& services, const RpcInterface& interface, const Request& request);

/// The path and query of a request, to be asked again: what was encoded in another way means the same.
std::string target_of(const Request& request);
}
