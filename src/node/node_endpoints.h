#pragma once

#include "concordat/application.h"
#include "node/services.h"

#include <vector>

namespace concordat::node
{
/// What operators ask a node (http-api.md §6).
std::vector<Endpoint> node_endpoints(Services& services);
}
