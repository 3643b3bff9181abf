#include "reconciliation/openapi.h"

#include <boost/json/parse.hpp>

namespace concordat::reconciliation
{
const std::string_view ingest_operation = R"json({
  "summary": "Submit one record or a batch of records",
  "description": "All records of the request are stored, or none. A key that was submitted before gets the new value.",
  "parameters": [
    {"name": "x-concordat-submission", "in": "header", "required": false,
     "description": "Names a submission that is sent in parts, so that sending a part again never applies it twice",
     "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}},
    {"name": "x-concordat-part", "in": "header", "required": false,
     "description": "Number of the part; parts are applied once and in order",
     "schema": {"type": "integer", "minimum": 1}}
  ],
  "requestBody": {"required": true, "content": {"application/json": {"schema": {"oneOf": [
    {"$ref": "#/components/schemas/Record"},
    {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Record"}}]}}}},
  "responses": {
    "200": {"description": "All records are stored",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IngestAnswer"}}}},
    "400": {"description": "Nothing is stored; the error says which rows are wrong and why",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}},
    "403": {"description": "The caller's organisation is not a member",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}
  }
})json";

const std::string_view csv_ingest_operation = R"json({
  "summary": "Submit records as CSV",
  "description": "RFC 4180 with a header that names the fields of the schema. All rows are stored, or none.",
  "parameters": [
    {"name": "x-concordat-submission", "in": "header", "required": false,
     "description": "Names a submission that is sent in parts, so that sending a part again never applies it twice",
     "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}},
    {"name": "x-concordat-part", "in": "header", "required": false,
     "description": "Number of the part; parts are applied once and in order",
     "schema": {"type": "integer", "minimum": 1}}
  ],
  "requestBody": {"required": true, "content": {"text/csv": {"schema": {"type": "string"}}}},
  "responses": {
    "200": {"description": "All rows are stored",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IngestAnswer"}}}},
    "400": {"description": "Nothing is stored; the error says which rows and lines are wrong and why",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}},
    "403": {"description": "The caller's organisation is not a member",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}
  }
})json";

const std::string_view report_operation = R"json({
  "summary": "Report on all of the caller's records",
  "description": "Ordered by key. Shows nothing of records that the caller's organisation has not submitted.",
  "parameters": [
    {"name": "limit", "in": "query", "required": false, "description": "Report at most so many records",
     "schema": {"type": "integer", "minimum": 1}},
    {"name": "after", "in": "query", "required": false,
     "description": "Report records whose key is greater than this: the last key of the page before",
     "schema": {"type": "string"}},
    {"name": "after_hex", "in": "query", "required": false,
     "description": "The same in hexadecimal, for keys with an ampersand; wins over after",
     "schema": {"type": "string", "pattern": "^([0-9A-Fa-f]{2})*$"}}
  ],
  "responses": {
    "200": {"description": "The report",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReportAnswer"}}}},
    "400": {"description": "The caller has no records (NoDataToReport), or a parameter is wrong (InvalidInput)",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}},
    "403": {"description": "The caller's organisation is not a member",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}
  }
})json";

const std::string_view report_record_operation = R"json({
  "summary": "Report on one of the caller's records",
  "parameters": [
    {"name": "id", "in": "path", "required": true, "description": "Key of the record, percent-encoded",
     "schema": {"type": "string"}}
  ],
  "responses": {
    "200": {"description": "The report on this record",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReportRecordAnswer"}}}},
    "400": {"description": "The caller has not submitted this key (KeyNotFound), whether others have or not",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}},
    "403": {"description": "The caller's organisation is not a member",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}
  }
})json";

namespace
{
constexpr std::string_view answer_schemas = R"json({
  "IngestAnswer": {"type": "object", "required": ["content", "error", "success", "failure", "statusCode", "status"],
    "properties": {"content": {"type": "string"}, "error": {"type": "object", "nullable": true},
      "success": {"type": "boolean"}, "failure": {"type": "boolean"}, "statusCode": {"type": "integer"},
      "status": {"type": "string", "enum": ["Success"]}}},
  "ReportAnswer": {"type": "object", "required": ["content", "error", "success", "failure", "statusCode", "status"],
    "properties": {"content": {"type": "array", "items": {"$ref": "#/components/schemas/ReportRecord"}},
      "error": {"type": "object", "nullable": true},
      "success": {"type": "boolean"}, "failure": {"type": "boolean"}, "statusCode": {"type": "integer"},
      "status": {"type": "string", "enum": ["Success"]}}},
  "ReportRecordAnswer": {"type": "object",
    "required": ["content", "error", "success", "failure", "statusCode", "status"],
    "properties": {"content": {"$ref": "#/components/schemas/ReportRecord"},
      "error": {"type": "object", "nullable": true},
      "success": {"type": "boolean"}, "failure": {"type": "boolean"}, "statusCode": {"type": "integer"},
      "status": {"type": "string", "enum": ["Success"]}}},
  "ErrorAnswer": {"type": "object", "required": ["content", "error", "success", "failure", "statusCode", "status"],
    "properties": {"content": {"type": "object", "nullable": true},
      "error": {"type": "object", "required": ["errorMessage", "errorType", "details"],
        "properties": {"errorMessage": {"type": "string"},
          "errorType": {"type": "string", "enum": ["InvalidInput", "KeyNotFound", "NoDataToReport",
            "SubmissionOutOfOrder", "AuthorizationFailed"]},
          "details": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/BadRow"}}}},
      "success": {"type": "boolean"}, "failure": {"type": "boolean"}, "statusCode": {"type": "integer"},
      "status": {"type": "string", "enum": ["Error"]}}},
  "BadRow": {"type": "object", "required": ["row", "column", "reason"],
    "properties": {"row": {"type": "integer", "nullable": true, "description": "From 1; null for the header"},
      "line": {"type": "integer", "description": "Of a CSV body, from 1"},
      "column": {"type": "string", "nullable": true}, "reason": {"type": "string"}}}
})json";

boost::json::object verdict_properties()
{
  return operation(R"json({
    "group_status": {"type": "string", "enum": ["NOT_ENOUGH_DATA", "IN_CONSENSUS", "LACK_OF_CONSENSUS"]},
    "majority_minority": {"type": "string", "enum": ["Majority", "Minority"]},
    "count_of_unique_values": {"type": "integer", "minimum": 1},
    "members_in_agreement": {"type": "integer", "minimum": 1}
  })json");
}

boost::json::object object_schema(const boost::json::object& properties)
{
  boost::json::array required;
  for (const auto& property : properties)
    required.emplace_back(property.key());
  return {{"type", "object"}, {"required", required}, {"properties", properties}};
}
}

boost::json::object operation(std::string_view text)
{
  return boost::json::parse(boost::json::string_view(text.data(), text.size())).as_object();
}

ApiInfo api_info(const Schema& schema)
{
  boost::json::object fields;
  fields[schema.key_field] = {{"type", "string"}, {"minLength", 1}, {"maxLength", max_key_size}};
  fields[schema.value_field] = {{"type", "string"}, {"maxLength", max_value_size}};

  ApiInfo info;
  info.title = "Concordat data reconciliation";
  info.description = "Members submit records and see, for their own records only, whether the others agree.";
  info.version = "0.1.0";
  info.schemas = operation(answer_schemas);
  auto record = object_schema(fields);
  record["additionalProperties"] = false;
  info.schemas["Record"] = std::move(record);
  for (const auto& property : verdict_properties())
    fields[property.key()] = property.value();
  info.schemas["ReportRecord"] = object_schema(fields);
  return info;
}
}
