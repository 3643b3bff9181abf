#pragma once

#include "concordat/application.h"
#include "node/identity.h"
#include "node/services.h"

namespace concordat::node
{
/// `POST /node/join` (http-api.md §6.11): lets nodes in that show that they run what governance allows. Who asks is
/// whom the connection's TLS key says, and nobody else is told anything.
/// @param identity of this node; outlives the endpoint
Endpoint join_endpoint(Services& services, const Identity& identity);
}
