#include "cli/submit.h"

#include "cli/fake_client.h"
#include "cli/refused_rows.h"
#include "cli/temporary_directory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

namespace concordat::cli
{
namespace
{
using test::FakeClient;

/// A service that applies parts as the application does.
class FakeService
{
public:
  Result<Response> operator()(const FakeClient::Sent& sent)
  {
    ++requests;
    if (lose_answer_of.contains(requests))
    {
      apply(sent);
      return fail(ErrorCode::unavailable, "the connection broke");
    }
    if (refuse_connection_at.contains(requests))
      return fail(ErrorCode::unavailable, "the connection broke");
    return apply(sent);
  }

  Response apply(const FakeClient::Sent& sent)
  {
    const std::string id(find_header(sent.headers, "x-concordat-submission").value());
    const auto part = std::stoull(std::string(find_header(sent.headers, "x-concordat-part").value()));
    auto& last = parts[id];
    if (part > last + 1)
      return Response::json(R"({"error":{"errorType":"SubmissionOutOfOrder","errorMessage":"order"}})", 400);
    if (part == last + 1)
    {
      last = part;
      applied.push_back(sent.body);
    }
    auto response = Response::json("{}");
    response.headers.emplace_back("x-ms-ccf-transaction-id", "2." + std::to_string(10 + part));
    return response;
  }

  std::map<std::string, std::uint64_t> parts;
  std::vector<std::string> applied;
  int requests = 0;
  std::set<int> lose_answer_of;       ///< applied, but the client does not learn of it
  std::set<int> refuse_connection_at; ///< not applied
};

class Submitting : public testing::Test
{
protected:
  const intake::Records records = read("lei,nace\na,1\nb,2\nc,3\nd,4\ne,5\n");
  const std::vector<std::string> all_parts{"lei,nace\na,1\nb,2\n", "lei,nace\nc,3\nd,4\n", "lei,nace\ne,5\n"};
  test::TemporaryDirectory directory;
  base::RealFileSystem files;
  SubmissionStateFile state{files, directory.path() + "/state", digest_of(records), "caller", "url"};
  std::vector<FakeClient::Sent> sent;
  std::vector<unsigned> pauses;
  FakeService service;

  static intake::Records read(std::string text)
  {
    const auto owner = std::make_shared<const std::string>(std::move(text));
    auto read = intake::read_records_of(intake::InputBytes(owner, *owner), {}, {});
    EXPECT_TRUE(read) << read.error().cause;
    return std::move(*read);
  }

  Attempt<Submission::Summary> submit(unsigned attempts, SubmissionStateFile* file)
  {
    auto connection = test::connection_to([this](const auto& request) { return service(request); }, sent);
    Submission submission(
        connection, records, {1000, 2}, file, attempts,
        [this](unsigned milliseconds) { pauses.push_back(milliseconds); });
    return submission.run([](std::uint64_t, std::uint64_t) {});
  }
};
}

TEST_F(Submitting, SendsAllPartsInOrderAndForgetsTheStateWhenDone)
{
  const auto summary = submit(1, &state);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->records, 5U);
  EXPECT_EQ(summary->requests, 3U);
  EXPECT_EQ(summary->transaction, "2.13");
  EXPECT_EQ(service.applied, all_parts);
  EXPECT_EQ(sent[0].target, "/app/csv/ingest");
  EXPECT_FALSE(files.exists(state.path()));
}

TEST_F(Submitting, SendsAPartAgainWithoutItBeingAppliedTwice)
{
  service.lose_answer_of = {2};
  service.refuse_connection_at = {3};
  ASSERT_TRUE(submit(5, nullptr));
  EXPECT_EQ(service.applied, all_parts);
  EXPECT_EQ(service.requests, 5);
  EXPECT_EQ(pauses.size(), 2U);
  EXPECT_LT(pauses[0], pauses[1]);
}

TEST_F(Submitting, GoesOnWhereItBrokeOff)
{
  service.lose_answer_of = {2};
  const auto broken = submit(1, &state);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().exit, Exit::unreachable);
  EXPECT_EQ(broken.error().next, "2 records are stored; run the same command again to go on where it broke off");
  ASSERT_TRUE(files.exists(state.path()));

  const auto summary = submit(1, &state);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->skipped_records, 2U);
  EXPECT_EQ(summary->requests, 2U);
  EXPECT_EQ(service.applied, all_parts);
  EXPECT_EQ(service.parts.size(), 1U);
  EXPECT_FALSE(files.exists(state.path()));
}

TEST_F(Submitting, StartsOverWithAServiceThatDoesNotKnowTheSubmission)
{
  service.refuse_connection_at = {3};
  ASSERT_FALSE(submit(1, &state));
  service.parts.clear();
  service.applied.clear();
  const auto summary = submit(1, &state);
  ASSERT_TRUE(summary);
  EXPECT_EQ(service.applied, all_parts);
  EXPECT_EQ(summary->skipped_records, 0U);
}

TEST_F(Submitting, ANewSubmissionOfTheSameInputIsANewOne)
{
  ASSERT_TRUE(submit(1, &state));
  ASSERT_TRUE(submit(1, &state));
  EXPECT_EQ(service.parts.size(), 2U);
  EXPECT_EQ(service.applied.size(), 6U);
}

TEST_F(Submitting, WaitsForAServiceThatIsBusy)
{
  int calls = 0;
  auto connection = test::connection_to(
      [&](const auto& request) -> Result<Response>
      {
        if (++calls <= 2)
          return Response::error(503, "TooManyPendingTransactions", "busy");
        return service(request);
      },
      sent);
  Submission submission(connection, records, {}, nullptr, 3, [&](unsigned wait) { pauses.push_back(wait); });
  EXPECT_TRUE(submission.run([](std::uint64_t, std::uint64_t) {}));
  EXPECT_EQ(pauses.size(), 2U);
}

TEST_F(Submitting, EndsAsUnreachableWhenTheServiceStaysBusyAndCanGoOnLater)
{
  for (const int status : {503, 504})
  {
    bool busy = true;
    auto connection = test::connection_to(
        [&](const auto& request) -> Result<Response>
        { return busy ? Response::error(status, "TooManyPendingTransactions", "busy") : service(request); }, sent);
    Submission submission(connection, records, {1000, 2}, &state, 3, [](unsigned) {});
    const auto summary = submission.run([](std::uint64_t, std::uint64_t) {});
    ASSERT_FALSE(summary);
    EXPECT_EQ(summary.error().exit, Exit::unreachable);
    EXPECT_NE(summary.error().cause.find(std::to_string(status)), std::string::npos);
    EXPECT_NE(summary.error().next.find("run the same command again"), std::string::npos);
    EXPECT_EQ(sent.size(), 3U);
    sent.clear();
    busy = false;
    ASSERT_TRUE(submission.run([](std::uint64_t, std::uint64_t) {}));
    sent.clear();
  }
}

TEST_F(Submitting, EndsAsFailedWhenTheServiceRefuses)
{
  for (const int status : {400, 401, 403, 404, 413, 500})
  {
    auto connection =
        test::connection_to([&](const auto&) -> Result<Response> { return Response::error(status, "No", "no"); }, sent);
    Submission submission(connection, records, {1000, 2}, nullptr, 3, [](unsigned) {});
    const auto summary = submission.run([](std::uint64_t, std::uint64_t) {});
    ASSERT_FALSE(summary);
    EXPECT_EQ(summary.error().exit, Exit::failed) << status;
  }
  EXPECT_EQ(sent.size(), 6U) << "what is refused is not sent again";
}

TEST_F(Submitting, NamesTheRowsOfTheWholeInputThatTheServiceRefuses)
{
  auto connection = test::connection_to(
      [&](const FakeClient::Sent& request) -> Result<Response>
      {
        if (find_header(request.headers, "x-concordat-part") == "1")
          return service(request);
        return Response::json(
            R"({"error":{"errorMessage":"m","errorType":"InvalidInput","details":[)"
            R"({"row":2,"line":3,"column":"lei","reason":"the key is bad"}]}})",
            400);
      },
      sent);
  Submission submission(connection, records, {1000, 2}, &state, 3, [](unsigned) {});
  const auto summary = submission.run([](std::uint64_t, std::uint64_t) {});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().exit, Exit::failed);
  EXPECT_EQ(
      summary.error().cause,
      "the service refused records of the input:\n  record 4 (line 5), lei: the key is bad\n2 of 5 records were stored "
      "before");
  EXPECT_FALSE(files.exists(state.path()));
}

TEST_F(Submitting, ADamagedStateFileIsAFreshStart)
{
  ASSERT_TRUE(files.make_directory(directory.path() + "/state"));
  for (const auto* text :
       {"", "{", "[]", "{\"submission\":1}", "{\"submission\":\"x\",\"acknowledged\":-1}",
        "{\"submission\":\"x\",\"acknowledged\":1,\"part_bytes\":0,\"part_records\":1}"})
  {
    ASSERT_TRUE(files.replace(state.path(), text));
    EXPECT_FALSE(state.load()) << text;
    service.applied.clear();
    const auto summary = submit(1, &state);
    ASSERT_TRUE(summary) << text;
    EXPECT_EQ(summary->skipped_records, 0U) << text;
    EXPECT_EQ(service.applied, all_parts) << text;
  }
}

TEST_F(Submitting, RemembersEachInputCallerAndAddressApart)
{
  const auto path = [&](const char* text, const char* caller, const char* url)
  { return SubmissionStateFile(files, "/d", text, caller, url).path(); };
  const std::set<std::string> paths{
      path("a", "b", "c"), path("x", "b", "c"), path("a", "x", "c"), path("a", "b", "x"), path("a", "bc", "")};
  EXPECT_EQ(paths.size(), 5U);
  ASSERT_TRUE(state.save({.submission = "id", .acknowledged = 7, .limits = {.bytes = 5, .records = 6}}));
  const auto loaded = state.load();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->submission, "id");
  EXPECT_EQ(loaded->acknowledged, 7U);
  EXPECT_EQ(loaded->limits.bytes, 5U);
  EXPECT_EQ(loaded->limits.records, 6U);
}

TEST(RefusedRows, DoNotTrustTheAnswer)
{
  for (const auto* body :
       {"", "null", "[]", "{}", R"({"error":null})", R"({"error":{"details":{}}})",
        R"({"error":{"details":[1,null]}})"})
    EXPECT_EQ(describe_refused_rows(body, {}, {}), "") << body;
  EXPECT_EQ(
      describe_refused_rows(R"({"error":{"details":[{"row":-1,"line":-5,"column":7,"reason":"\u001b[2J"}]}})", {}, {}),
      "  the header: \\x1b[2J\n");
  std::string many = R"({"error":{"details":[{})";
  for (int i = 0; i < 50; ++i)
    many += ",{}";
  EXPECT_TRUE(describe_refused_rows(many + "]}}", {}, {}).ends_with("  and more\n"));
}
TEST_F(Submitting, APartHasOneIdHoweverOftenItIsSent)
{
  int calls = 0;
  auto connection = test::connection_to(
      [&](const auto& request) -> Result<Response>
      {
        if (++calls == 1)
          return Response::text("late", 504);
        if (calls == 2)
          return fail(ErrorCode::unavailable, "the connection broke");
        // It took effect at the first time, with an answer that could not be kept.
        return calls == 3 ? (service(request), Response::error(409, "AnswerNotKept", "it is done")) : service(request);
      },
      sent);
  Submission submission(connection, records, {1000, 2}, nullptr, 3, [](unsigned) {});
  ASSERT_TRUE(submission.run([](std::uint64_t, std::uint64_t) {}));
  std::vector<std::string> ids;
  for (const auto& one : sent)
    ids.emplace_back(find_header(one.headers, "x-concordat-request-id").value_or(""));
  ASSERT_EQ(ids.size(), 5U);
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[1], ids[2]);
  EXPECT_NE(ids[2], ids[3]);
  EXPECT_NE(ids[3], ids[4]);
  for (const auto& id : ids)
    EXPECT_TRUE(!id.empty() && id.size() <= 64) << id;
}
}
