#include "cli/report.h"

#include "cli/report_reader.h"

#include <simdjson.h>

namespace concordat::cli
{
namespace
{
Failure not_understood()
{
  return {
      Exit::failed, "the service's answer is not a report",
      "check that --url is a node that runs the reconciliation application"};
}

Failure report_refused(const Response& response)
{
  auto failure = refused(response);
  const auto type = read_error(response).type;
  if (type == "NoDataToReport")
    failure.next = "submit records first: concordat submit FILE";
  else if (type == "KeyNotFound")
    failure.next = "concordat report without a key lists yours";
  return failure;
}

Outcome report_one(Connection& connection, const std::string& key, ReportWriter& writer)
{
  const auto response = request(connection, "GET", "/app/report/" + percent_encoded(key));
  if (!response)
    return std::unexpected(response.error());
  if (!response->ok())
    return std::unexpected(report_refused(*response));
  simdjson::dom::parser parser;
  simdjson::dom::element record;
  if (parser.parse(response->body)["content"].get(record) != simdjson::SUCCESS || !record.is_object())
    return std::unexpected(not_understood());
  if (!writer.write(simdjson::minify(record)))
    return refuse(Exit::failed, "cannot write the report");
  writer.finish();
  return {};
}

Outcome report_all(Connection& connection, ReportWriter& writer)
{
  bool writable = true;
  ReportReader reader([&](std::string_view record) { return writable = writer.write(record); });
  auto response = connection.client->send_streaming(
      "GET", "/app/report", {}, {}, [&](std::string_view piece) { return reader.feed(piece); });
  if (!writable)
    return refuse(Exit::failed, "the report could not be written to the end", "check where the output goes");
  if (!response)
    return std::unexpected(unreachable(connection, response.error()));
  if (!response->ok())
  {
    response->body = reader.beginning();
    return std::unexpected(report_refused(*response));
  }
  if (!reader.complete())
    return std::unexpected(not_understood());
  writer.finish();
  return {};
}
}

std::string percent_encoded(std::string_view text)
{
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text)
  {
    if (unreserved.find(c) != std::string_view::npos)
    {
      out += c;
      continue;
    }
    out += '%';
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Outcome run_report(const ReportOptions& options, Console& console)
{
  auto connection = connect(options.connection, Identity::needed);
  if (!connection)
    return std::unexpected(connection.error());
  const auto writer = ReportWriter::make(options.format, options.raw, console);
  return options.key ? report_one(*connection, *options.key, *writer) : report_all(*connection, *writer);
}
}
