#pragma once

#include "concordat/application.h"

#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace concordat::node
{
/// The OpenAPI 3.0 document of a frontend (http-api.md §5.4): its endpoints that are not hidden.
boost::json::object
api_description(std::string_view prefix, const ApiInfo& info, const std::vector<Endpoint>& endpoints);

/// Verb and path in camel case: `GetAppCommit`.
std::string operation_id(std::string_view method, std::string_view path);
}
