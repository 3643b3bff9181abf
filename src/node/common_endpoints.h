#pragma once

#include "concordat/application.h"
#include "node/services.h"

#include <vector>

namespace concordat::node
{
struct Frontend;

/// `commit`, `tx`, `receipt` and `api`, which every frontend has (http-api.md §5).
/// @param frontend described by its `api`; must outlive the endpoints
std::vector<Endpoint> common_endpoints(Services& services, const Frontend& frontend);

/// Makes an endpoint that answers JSON: refuses an `accept` header that does not take it (http-api.md §1.6). It runs on
/// the thread of the connection, as most of the framework's do: they look at little.
Endpoint json_endpoint(std::string method, std::string path, Mode mode, Handler handler, boost::json::object openapi);

/// The same endpoint, run on the pool: for what reads the disk, or makes much.
Endpoint on_pool(Endpoint endpoint);

/// A GET's OpenAPI operation.
boost::json::object described(std::string_view summary, boost::json::array parameters = {});
boost::json::object query_parameter(std::string_view name, bool required);

/// A 200 with canonical JSON.
Response answer(const boost::json::value& body);
}
