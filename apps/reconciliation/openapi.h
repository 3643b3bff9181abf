#pragma once

#include "concordat/application.h"
#include "reconciliation/schema.h"

namespace concordat::reconciliation
{
/// Title and component schemas of the API description.
ApiInfo api_info(const Schema& schema);

/// Operation objects of the endpoints.
boost::json::object ingest_operation();
boost::json::object csv_ingest_operation();
boost::json::object report_operation();
boost::json::object report_record_operation();
}
