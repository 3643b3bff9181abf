#include "reconciliation/application.h"

#include "reconciliation/envelope.h"
#include "reconciliation/openapi.h"
#include "reconciliation/report.h"
#include "reconciliation/submission.h"
#include "reconciliation/uri.h"
#include "reconciliation/voter.h"

#include <charconv>
#include <utility>

namespace concordat::reconciliation
{
namespace
{
constexpr std::string_view ingested = R"("data has ingested successfully")";

Response not_agreed(const Error& error)
{
  return failure(500, "NoAgreedSettings", error.describe());
}

Response no_data()
{
  return failure(400, "NoDataToReport", "you have not submitted any records yet; submit some, then ask for the report");
}

Response key_not_found()
{
  return failure(400, "KeyNotFound", "you have not submitted a record with this key");
}

/// A source of which the first piece has been taken already.
class ResumedSource : public BodySource
{
public:
  ResumedSource(std::string first, std::shared_ptr<BodySource> rest) : first_(std::move(first)), rest_(std::move(rest))
  {
  }

  bool next(std::string& piece) override
  {
    if (first_.empty())
      return rest_->next(piece);
    piece = std::exchange(first_, {});
    return true;
  }

private:
  std::string first_;
  std::shared_ptr<BodySource> rest_;
};

/// The query parameters of a report.
std::expected<Page, Response> read_page(const Request& request)
{
  Page page;
  if (const auto limit = request.parameter("limit"))
  {
    const char* const end = limit->data() + limit->size();
    const auto parsed = std::from_chars(limit->data(), end, page.limit);
    if (parsed.ec != std::errc{} || parsed.ptr != end || page.limit == 0)
      return std::unexpected(
          failure(400, "InvalidInput", "the query parameter limit must be an integer of at least 1"));
  }
  page.after = request.parameter("after");
  if (const auto after_hex = request.parameter("after_hex"))
  {
    page.after = decode_hex(*after_hex);
    if (!page.after)
      return std::unexpected(
          failure(400, "InvalidInput", "the query parameter after_hex must be the key's bytes in hexadecimal"));
  }
  return page;
}
}

ReconciliationApplication::ReconciliationApplication(boost::json::object configuration, Settings initial)
    : configuration_(std::move(configuration)),
      initial_(std::move(initial))
{
}

Result<std::unique_ptr<ReconciliationApplication>>
ReconciliationApplication::make(const boost::json::object& configuration)
{
  auto initial = initial_settings(configuration);
  if (!initial)
    return std::unexpected(initial.error());
  return std::unique_ptr<ReconciliationApplication>(new ReconciliationApplication(configuration, std::move(*initial)));
}

std::vector<GovernedWrite> ReconciliationApplication::governed_at_genesis() const
{
  return {governed_write(initial_)};
}

std::vector<std::string> ReconciliationApplication::look_at_service(ReadTransaction& state) const
{
  const auto agreed = agreed_settings(state);
  if (!agreed)
    return {agreed.error().describe() + "; submissions and reports are refused"};
  return overruled(configuration_, *agreed);
}

ApiInfo ReconciliationApplication::info() const
{
  return api_info(initial_.schema);
}

std::vector<Endpoint> ReconciliationApplication::endpoints()
{
  const std::vector<AuthPolicy> known_callers{AuthPolicy::member_cert, AuthPolicy::user_cert};
  const auto endpoint =
      [&](std::string method, std::string path, Mode mode, Place place, boost::json::object description, Handler run)
  {
    Endpoint made;
    made.method = std::move(method);
    made.path = std::move(path);
    made.mode = mode;
    made.policies = known_callers;
    made.place = place;
    made.handler = std::move(run);
    made.openapi = std::move(description);
    return made;
  };
  return {
      endpoint(
          "POST", "/ingest", Mode::read_write, Place::io_thread, ingest_operation(),
          [this](Context& context) { return ingest(context, parse_json); }),
      endpoint(
          "POST", "/csv/ingest", Mode::read_write, Place::io_thread, csv_ingest_operation(),
          [this](Context& context) { return ingest(context, parse_csv); }),
      endpoint(
          "GET", "/report", Mode::read_only, Place::pool, report_operation(),
          [this](Context& context) { return report_all(context); }),
      endpoint(
          "GET", "/report/{id}", Mode::read_only, Place::io_thread, report_record_operation(),
          [this](Context& context) { return report_one(context); }),
  };
}

Response ReconciliationApplication::ingest(Context& context, Parser parse) const
{
  auto& transaction = context.transaction();
  const auto agreed = agreed_settings(transaction);
  if (!agreed)
    return not_agreed(agreed.error());
  const auto voter = find_voter(context);
  if (!voter)
    return voter.error();
  const auto part = read_submission_part(context.request().headers);
  if (!part)
    return part.error();

  if (*part)
  {
    const auto known = find_organisation(transaction, *voter);
    const auto last = known ? last_part(transaction, agreed->round, *known, (*part)->submission) : 0;
    if ((*part)->part <= last)
      return success(ingested);
    if ((*part)->part != last + 1)
      return failure(
          400, "SubmissionOutOfOrder",
          "part " + std::to_string((*part)->part) + " of this submission cannot be applied before part " +
              std::to_string(last + 1) + "; send that one first");
  }

  const auto& batch = context.once<Parsed>([&] { return parse(agreed->schema, context.request().body); });
  if (!batch)
    return failure(400, "InvalidInput", batch.error().message(), batch.error().rows());

  if (const auto refusal = refuse_texts(agreed->schema, agreed->text_rule, *batch))
    return failure(400, "InvalidInput", refusal->message(), refusal->rows());

  const auto organisation = enrol_organisation(transaction, *voter);
  std::string key = key_prefix(agreed->round, organisation);
  const auto prefix_size = key.size();
  std::string memory;
  for (const auto& record : batch->records)
  {
    key.resize(prefix_size);
    key += as_agreed(agreed->text_rule, record.key, memory);
    transaction.put(votes_map, key, as_agreed(agreed->text_rule, record.value, memory));
  }
  if (*part)
    set_last_part(transaction, agreed->round, organisation, (*part)->submission, (*part)->part);
  return success(ingested);
}

Response ReconciliationApplication::report_all(Context& context) const
{
  const auto page = read_page(context.request());
  if (!page)
    return page.error();
  auto state = context.state();
  const auto agreed = agreed_settings(*state);
  if (!agreed)
    return not_agreed(agreed.error());
  const auto voter = find_voter(context);
  if (!voter)
    return voter.error();
  const auto organisation = find_organisation(*state, *voter);
  if (!organisation || !state->scan_prefix(votes_map, key_prefix(agreed->round, *organisation))->next())
    return no_data();

  const auto source =
      std::make_shared<ReportSource>(std::move(state), *agreed, *organisation, *page, success_head, success_tail);
  Response response = Response::json({});
  source->next(response.body);
  if (source->done())
    return response;
  response.stream = std::make_shared<ResumedSource>(std::move(response.body), source);
  response.body.clear();
  return response;
}

Response ReconciliationApplication::report_one(Context& context) const
{
  const auto key = decode_percent(context.path_parameter("id"));
  if (!key)
    return failure(400, "InvalidInput", "the key in the path is not percent-encoded correctly");
  const auto state = context.state();
  const auto agreed = agreed_settings(*state);
  if (!agreed)
    return not_agreed(agreed.error());
  const auto voter = find_voter(context);
  if (!voter)
    return voter.error();
  const auto organisation = find_organisation(*state, *voter);
  if (!organisation)
    return key_not_found();
  std::string memory;
  const auto record = report_record(*state, *agreed, *organisation, as_agreed(agreed->text_rule, *key, memory));
  return record ? success(*record) : key_not_found();
}
}

namespace concordat
{
Result<std::unique_ptr<Application>> make_application(const boost::json::object& configuration)
{
  return reconciliation::ReconciliationApplication::make(configuration);
}
}
