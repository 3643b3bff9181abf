#pragma once

#include "concordat/application.h"
#include "reconciliation/schema.h"

#include <string_view>

namespace concordat::reconciliation
{
/// Title and component schemas of the API description.
ApiInfo api_info(const Schema& schema);

/// Operation objects of the endpoints, as JSON text.
extern const std::string_view ingest_operation;
extern const std::string_view csv_ingest_operation;
extern const std::string_view report_operation;
extern const std::string_view report_record_operation;

/// Parses one of the texts above.
boost::json::object operation(std::string_view text);
}
