#pragma once

#include "concordat/application.h"
#include "node/services.h"

#include <vector>

namespace concordat::node
{
/// What a node says of the others and of who leads (http-api.md §6.1–6.5, §6.7): the same on every node, from its
/// committed state and from what consensus knows here.
std::vector<Endpoint> network_endpoints(Services& services);
}
