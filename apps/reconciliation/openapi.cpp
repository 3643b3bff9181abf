#include "reconciliation/openapi.h"

#include <boost/json/parse.hpp>

namespace concordat::reconciliation
{
namespace
{
boost::json::value parse(std::string_view text)
{
  return boost::json::parse(boost::json::string_view(text.data(), text.size()));
}

constexpr std::string_view submission_parameters = R"json([
  {"name": "x-concordat-submission", "in": "header", "required": false,
   "description": "Names a submission that is sent in parts, so that sending a part again never applies it twice",
   "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}},
  {"name": "x-concordat-part", "in": "header", "required": false,
   "description": "Number of the part; parts are applied once and in order",
   "schema": {"type": "integer", "minimum": 1}}
])json";

boost::json::object response(std::string_view description, std::string_view schema)
{
  return {
      {"description", description},
      {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/" + std::string(schema)}}}}}}}};
}

/// What differs between the operations.
struct Outline
{
  std::string_view summary;
  std::string_view description; ///< may be empty
  std::string_view parameters;  ///< JSON array
  std::string_view body;        ///< JSON object of media types; empty: there is none
  std::string_view done;        ///< when the answer is 200
  std::string_view answer;      ///< schema of that answer
  std::string_view refused;     ///< when the answer is 400
};

boost::json::object operation(const Outline& outline)
{
  boost::json::object made{{"summary", outline.summary}, {"parameters", parse(outline.parameters)}};
  if (!outline.description.empty())
    made["description"] = outline.description;
  if (!outline.body.empty())
    made["requestBody"] = {{"required", true}, {"content", parse(outline.body)}};
  made["responses"] = {
      {"200", response(outline.done, outline.answer)},
      {"400", response(outline.refused, "ErrorAnswer")},
      {"403", response("The caller's organisation is not a member", "ErrorAnswer")}};
  return made;
}
}

boost::json::object ingest_operation()
{
  return operation({
      .summary = "Submit one record or a batch of records",
      .description =
          "All records of the request are stored, or none. A key that was submitted before gets the new value.",
      .parameters = submission_parameters,
      .body = R"json({"application/json": {"schema": {"oneOf": [
        {"$ref": "#/components/schemas/Record"},
        {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Record"}}]}}})json",
      .done = "All records are stored",
      .answer = "IngestAnswer",
      .refused = "Nothing is stored; the error says which rows are wrong and why",
  });
}

boost::json::object csv_ingest_operation()
{
  return operation({
      .summary = "Submit records as CSV",
      .description = "RFC 4180 with a header that names the fields of the schema. All rows are stored, or none.",
      .parameters = submission_parameters,
      .body = R"json({"text/csv": {"schema": {"type": "string"}}})json",
      .done = "All rows are stored",
      .answer = "IngestAnswer",
      .refused = "Nothing is stored; the error says which rows and lines are wrong and why",
  });
}

boost::json::object report_operation()
{
  return operation({
      .summary = "Report on all of the caller's records",
      .description = "Ordered by key. Shows nothing of records that the caller's organisation has not submitted.",
      .parameters = R"json([
        {"name": "limit", "in": "query", "required": false, "description": "Report at most so many records",
         "schema": {"type": "integer", "minimum": 1}},
        {"name": "after", "in": "query", "required": false,
         "description": "Report records whose key is greater than this: the last key of the page before",
         "schema": {"type": "string"}},
        {"name": "after_hex", "in": "query", "required": false,
         "description": "The same in hexadecimal, for keys with an ampersand; wins over after",
         "schema": {"type": "string", "pattern": "^([0-9A-Fa-f]{2})*$"}}])json",
      .body = {},
      .done = "The report",
      .answer = "ReportAnswer",
      .refused = "The caller has no records (NoDataToReport), or a parameter is wrong (InvalidInput)",
  });
}

boost::json::object report_record_operation()
{
  return operation({
      .summary = "Report on one of the caller's records",
      .description = {},
      .parameters = R"json([{"name": "id", "in": "path", "required": true,
        "description": "Key of the record, percent-encoded", "schema": {"type": "string"}}])json",
      .body = {},
      .done = "The report on this record",
      .answer = "ReportRecordAnswer",
      .refused = "The caller has not submitted this key (KeyNotFound), whether others have or not",
  });
}

namespace
{
constexpr std::string_view error_schema = R"json({
  "type": "object", "required": ["errorMessage", "errorType", "details"],
  "properties": {"errorMessage": {"type": "string"},
    "errorType": {"type": "string", "enum": ["InvalidInput", "KeyNotFound", "NoDataToReport",
      "SubmissionOutOfOrder", "AuthorizationFailed"]},
    "details": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/BadRow"}}}
})json";

constexpr std::string_view bad_row_schema = R"json({
  "type": "object", "required": ["row", "column", "reason"],
  "properties": {"row": {"type": "integer", "nullable": true, "description": "From 1; null for the header"},
    "line": {"type": "integer", "description": "Of a CSV body, from 1"},
    "column": {"type": "string", "nullable": true}, "reason": {"type": "string"}}
})json";

boost::json::object verdict_properties()
{
  return parse(R"json({
    "group_status": {"type": "string", "enum": ["NOT_ENOUGH_DATA", "IN_CONSENSUS", "LACK_OF_CONSENSUS"]},
    "majority_minority": {"type": "string", "enum": ["Majority", "Minority"]},
    "count_of_unique_values": {"type": "integer", "minimum": 1},
    "members_in_agreement": {"type": "integer", "minimum": 1},
    "total_votes_count": {
      "type": "integer", "minimum": 1, "description": "only where the members have agreed to show it"
    }
  })json")
      .as_object();
}

boost::json::object object_schema(const boost::json::object& properties)
{
  boost::json::array required;
  for (const auto& property : properties)
    required.emplace_back(property.key());
  return {{"type", "object"}, {"required", required}, {"properties", properties}};
}

/// The envelope that every answer has.
/// @param status Success or Error
boost::json::object answer_schema(boost::json::value content, boost::json::value error, std::string_view status)
{
  return object_schema({
      {"content", std::move(content)},
      {"error", std::move(error)},
      {"success", {{"type", "boolean"}}},
      {"failure", {{"type", "boolean"}}},
      {"statusCode", {{"type", "integer"}}},
      {"status", {{"type", "string"}, {"enum", boost::json::array{status}}}},
  });
}
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
  const boost::json::object nothing{{"type", "object"}, {"nullable", true}};
  const boost::json::object report_record{{"$ref", "#/components/schemas/ReportRecord"}};
  info.schemas["IngestAnswer"] = answer_schema({{"type", "string"}}, nothing, "Success");
  info.schemas["ReportAnswer"] = answer_schema({{"type", "array"}, {"items", report_record}}, nothing, "Success");
  info.schemas["ReportRecordAnswer"] = answer_schema(report_record, nothing, "Success");
  info.schemas["ErrorAnswer"] = answer_schema(nothing, parse(error_schema), "Error");
  info.schemas["BadRow"] = parse(bad_row_schema);
  auto record = object_schema(fields);
  record["additionalProperties"] = false;
  info.schemas["Record"] = std::move(record);
  for (const auto& property : verdict_properties())
    fields[property.key()] = property.value();
  info.schemas["ReportRecord"] = object_schema(fields);
  return info;
}
}
