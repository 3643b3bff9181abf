#include "reconciliation/application.h"

#include "reconciliation/test_support.h"

#include <gtest/gtest.h>

namespace concordat::reconciliation
{
namespace
{
using test::body_of;
using test::content_of;
using test::error_type;
using test::json_of;
using test::member;
using test::read_sample;
using test::Service;
using test::user;

const std::string accepted = R"({"content":"data has ingested successfully","error":null,"success":true,)"
                             R"("failure":false,"statusCode":200,"status":"Success"})";

std::string one(const std::string& key, const std::string& value)
{
  return boost::json::serialize(boost::json::object{{"lei", key}, {"nace", value}});
}

Headers part(const std::string& submission, const std::string& number)
{
  return {{"x-concordat-submission", submission}, {"x-concordat-part", number}};
}

constexpr auto submission_id = "0123456789abcdef";

/// Reports of all three sample members equal the file's.
void expect_reports(Service& service, const std::string& file)
{
  const auto expected = boost::json::parse(read_sample(file)).as_object();
  ASSERT_EQ(expected.size(), 3U);
  for (const auto& report : expected)
  {
    const std::string name = report.key();
    EXPECT_EQ(content_of(service.report(member(name))), boost::json::serialize(report.value())) << name;
    for (const auto& record : report.value().as_array())
      EXPECT_EQ(
          content_of(service.report_one(member(name), std::string(record.at("lei").as_string()))),
          boost::json::serialize(record));
  }
}
}

TEST(Ingest, DoesNotReadTheBodyAgainAfterAConflict)
{
  Service service;
  service.conflicts = 2;
  EXPECT_EQ(service.ingest(member("m0"), one("k", "v")).body, accepted);
  EXPECT_EQ(service.ingest_csv(member("m0"), "lei,nace\nk2,v\n").body, accepted);
  EXPECT_NE(content_of(service.report(member("m0"))).find("k2"), std::string::npos);
}

TEST(Samples, GiveTheReportsThatBelongToThem)
{
  Service service;
  auto first = service.ingest_csv(member("member0"), read_sample("member0.csv"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, accepted);
  EXPECT_EQ(service.ingest(member("member1"), read_sample("member1.json")).body, accepted);
  EXPECT_EQ(service.ingest(member("member2"), read_sample("member2.json")).body, accepted);
  expect_reports(service, "reports_first.json");
  EXPECT_EQ(service.ingest(member("member0"), read_sample("member0_update.json")).body, accepted);
  expect_reports(service, "reports_after_update.json");
}

TEST(Ingest, LetsTheLastOfEqualKeysStand)
{
  Service service;
  EXPECT_EQ(service.ingest(member("m0"), "[" + one("A", "1") + "," + one("A", "2") + "]").status, 200);
  EXPECT_EQ(
      content_of(service.report(member("m0"))),
      R"([{"lei":"A","nace":"2","group_status":"NOT_ENOUGH_DATA","majority_minority":"Majority",)"
      R"("count_of_unique_values":1,"members_in_agreement":1}])");
}

TEST(Ingest, StoresNothingOfARequestWithABadRow)
{
  Service service;
  const auto before = service.maps;
  EXPECT_EQ(service.ingest(member("m0"), "[" + one("A", "1") + "," + one("", "2") + "]").status, 400);
  EXPECT_EQ(service.writes, 0);
  EXPECT_EQ(service.ingest_csv(member("m0"), "lei,nace\nA,1\nB\n").status, 400);
  EXPECT_EQ(service.writes, 0);
  EXPECT_EQ(service.maps, before);
}

TEST(Ingest, RefusesWithTheEnvelopeAndDetails)
{
  Service service;
  auto refused = service.ingest_csv(member("m0"), "lei,nace\nA,1\n,2\n");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(
      refused.body,
      R"({"content":null,"error":{"errorMessage":"nothing has been stored: row 2 (line 3), column lei: the key must )"
      R"(not be empty","errorType":"InvalidInput","details":[{"row":2,"line":3,"column":"lei","reason":"the key must )"
      R"(not be empty"}]},"success":false,"failure":true,"statusCode":400,"status":"Error"})");
  EXPECT_EQ(find_header(refused.headers, "content-type"), "application/json");
  const auto header = json_of(service.ingest_csv(member("m0"), "lei\nA\n"));
  EXPECT_TRUE(header.at("error").at("details").at(0).at("row").is_null());
}

TEST(Ingest, ReadsTheSameFewKeysHoweverManyRecords)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m0"), one("A", "1")).status, 200);
  const auto reads_of = [&](int records)
  {
    std::string csv = "lei,nace\n";
    for (int i = 0; i < records; ++i)
      csv += std::to_string(i) + ",v\n";
    EXPECT_EQ(service.ingest_csv(member("m0"), csv).status, 200);
    return service.reads;
  };
  EXPECT_EQ(reads_of(1), reads_of(1000));
}

TEST(Ingest, AcceptsAnEmptyValueAsAValue)
{
  Service service;
  EXPECT_EQ(service.ingest(member("m0"), one("A", "")).status, 200);
  EXPECT_EQ(json_of(service.report_one(member("m0"), "A")).at("content").at("nace").as_string(), "");
}

TEST(Submission, AppliesEachPartOnceAndInOrder)
{
  Service service;
  EXPECT_EQ(service.ingest(member("m0"), one("A", "1"), part(submission_id, "1")).body, accepted);
  EXPECT_EQ(service.ingest(member("m0"), one("A", "2"), part(submission_id, "2")).body, accepted);
  const auto before = service.maps;
  EXPECT_EQ(service.ingest(member("m0"), one("A", "1"), part(submission_id, "1")).body, accepted);
  EXPECT_EQ(service.writes, 0);
  EXPECT_EQ(service.maps, before);
  const auto gap = service.ingest(member("m0"), one("B", "1"), part(submission_id, "4"));
  EXPECT_EQ(gap.status, 400);
  EXPECT_EQ(error_type(gap), "SubmissionOutOfOrder");
  EXPECT_EQ(service.ingest(member("m0"), one("B", "1"), part(submission_id, "3")).status, 200);
}

TEST(Submission, BelongsToOneOrganisation)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m0"), one("A", "1"), part(submission_id, "1")).status, 200);
  EXPECT_EQ(error_type(service.ingest(member("m1"), one("A", "1"), part(submission_id, "2"))), "SubmissionOutOfOrder");
  ASSERT_EQ(service.ingest(member("m1"), one("A", "1"), part(submission_id, "1")).status, 200);
  EXPECT_EQ(json_of(service.report_one(member("m1"), "A")).at("content").at("members_in_agreement").as_int64(), 2);
}

TEST(Submission, APartThatWasRefusedCanBeSentAgain)
{
  Service service;
  EXPECT_EQ(service.ingest(member("m0"), one("", "1"), part(submission_id, "1")).status, 400);
  EXPECT_EQ(service.ingest(member("m0"), one("A", "1"), part(submission_id, "1")).status, 200);
  EXPECT_EQ(service.report_one(member("m0"), "A").status, 200);
}

TEST(Submission, RefusesMalformedHeaders)
{
  Service service;
  const auto refused = [&](Headers headers)
  {
    const auto response = service.ingest(member("m0"), one("A", "1"), std::move(headers));
    return response.status == 400 && error_type(response) == "InvalidInput";
  };
  EXPECT_TRUE(refused({{"x-concordat-submission", submission_id}}));
  EXPECT_TRUE(refused({{"x-concordat-part", "1"}}));
  for (const auto* id : {"", "short", "0123456789abcde/", "0123456789abcde\n"})
    EXPECT_TRUE(refused(part(id, "1"))) << id;
  EXPECT_TRUE(refused(part(std::string(65, 'a'), "1")));
  EXPECT_FALSE(refused(part(std::string(64, 'a'), "1")));
  for (const auto* number : {"", "0", "-1", "+1", "1.0", "1 ", "x", "99999999999999999999"})
    EXPECT_TRUE(refused(part(submission_id, number))) << number;
}

TEST(Report, OfACallerWithoutRecordsIsRefused)
{
  Service service;
  EXPECT_EQ(service.report(member("m0")).status, 400);
  EXPECT_EQ(error_type(service.report(member("m0"))), "NoDataToReport");
  ASSERT_EQ(service.ingest(member("m1"), one("A", "1")).status, 200);
  EXPECT_EQ(error_type(service.report(member("m0"))), "NoDataToReport");
}

TEST(Report, AnswersTheSameForAKeyThatOthersHoldAndForOneThatNobodyHolds)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m1"), one("held", "1")).status, 200);
  const auto same = [&]
  {
    auto held = service.report_one(member("m0"), "held");
    const auto held_reads = service.reads;
    auto unheld = service.report_one(member("m0"), "free");
    EXPECT_EQ(service.reads, held_reads);
    EXPECT_EQ(held.status, 400);
    EXPECT_EQ(unheld.status, held.status);
    EXPECT_EQ(unheld.headers, held.headers);
    EXPECT_EQ(unheld.body, held.body);
    EXPECT_EQ(error_type(held), "KeyNotFound");
  };
  same();
  ASSERT_EQ(service.ingest(member("m0"), one("other", "1")).status, 200);
  same();
}

TEST(Report, ShowsNothingOfKeysThatOnlyOthersHold)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m0"), one("A", "1")).status, 200);
  auto before = service.report(member("m0"));
  ASSERT_EQ(service.ingest(member("m1"), "[" + one("0", "x") + "," + one("B", "y") + "]").status, 200);
  auto after = service.report(member("m0"));
  EXPECT_EQ(body_of(before), body_of(after));
  EXPECT_EQ(content_of(service.report(member("m0"), "after=A")), "[]");
}

TEST(Report, FindsKeysThatArePercentEncoded)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m0"), one("a/b c+\xc3\xa9%", "1")).status, 200);
  EXPECT_EQ(service.report_one(member("m0"), "a%2Fb%20c+%C3%A9%25").status, 200);
  EXPECT_EQ(error_type(service.report_one(member("m0"), "a%2")), "InvalidInput");
  EXPECT_EQ(error_type(service.report_one(member("m0"), "%zz")), "InvalidInput");
  EXPECT_EQ(error_type(service.report_one(member("m0"), "%FF%00")), "KeyNotFound");
}

TEST(Report, WritesEveryKeyAsValidJson)
{
  Service service(Settings{.vote_threshold = 3, .text_rule = TextRule::exact});
  std::string key;
  for (char c = 0; c < 0x7f; ++c)
    key += c;
  ASSERT_EQ(service.ingest(member("m0"), one(key, key + "\xe2\x82\xac")).status, 200);
  const auto record = json_of(service.report(member("m0"))).at("content").at(0).as_object();
  EXPECT_EQ(record.at("lei").as_string(), key);
  EXPECT_EQ(record.at("nace").as_string(), key + "\xe2\x82\xac");
}

TEST(Report, RefusesBadParameters)
{
  Service service;
  ASSERT_EQ(service.ingest(member("m0"), "[" + one("A&b", "1") + "," + one("B", "1") + "]").status, 200);
  for (const auto* query :
       {"limit=0", "limit=", "limit", "limit=-1", "limit=x", "limit=1x", "limit=99999999999999999999", "after_hex=4",
        "after_hex=zz"})
    EXPECT_EQ(error_type(service.report(member("m0"), query)), "InvalidInput") << query;
  EXPECT_EQ(json_of(service.report(member("m0"), "after_hex=412662")).at("content").as_array().size(), 1U);
  EXPECT_EQ(json_of(service.report(member("m0"), "limit=18446744073709551615")).at("content").as_array().size(), 2U);
}

TEST(Voter, UsersOfOneOrganisationShareOneVote)
{
  Service service;
  const boost::json::value data{{"organisation", "m0"}, {"department", "risk"}};
  ASSERT_EQ(service.ingest(user("u0", data), one("A", "1")).status, 200);
  ASSERT_EQ(service.ingest(user("u1", data), one("A", "2")).status, 200);
  ASSERT_EQ(service.ingest(member("m0"), one("A", "3")).status, 200);
  for (const auto& caller : {user("u0", data), user("u1", data), member("m0")})
  {
    const auto record = json_of(service.report_one(caller, "A")).at("content").as_object();
    EXPECT_EQ(record.at("nace").as_string(), "3");
    EXPECT_EQ(record.at("count_of_unique_values").as_int64(), 1);
  }
}

TEST(Voter, AUserWithoutOrganisationVotesForHimself)
{
  Service service;
  ASSERT_EQ(service.ingest(user("u0"), one("A", "1")).status, 200);
  ASSERT_EQ(service.ingest(user("u1", boost::json::object{{"name", "x"}}), one("A", "1")).status, 200);
  EXPECT_EQ(json_of(service.report_one(user("u0"), "A")).at("content").at("members_in_agreement").as_int64(), 2);
}

TEST(Voter, AnOrganisationThatIsNoMemberIsRefusedEverywhere)
{
  Service service;
  for (const boost::json::value& organisation :
       {boost::json::value("stranger"), boost::json::value(7), boost::json::value(nullptr)})
  {
    const auto caller = user("u0", boost::json::object{{"organisation", organisation}});
    const auto refusals = {
        service.ingest(caller, one("A", "1")), service.ingest_csv(caller, "lei,nace\nA,1\n"), service.report(caller),
        service.report_one(caller, "A")};
    for (const auto& refused : refusals)
    {
      EXPECT_EQ(refused.status, 403);
      EXPECT_EQ(error_type(refused), "AuthorizationFailed");
      EXPECT_EQ(json_of(refused).at("statusCode").as_int64(), 403);
    }
  }
}

TEST(Api, DescribesEveryEndpointAndResolvesItsReferences)
{
  const auto made = ReconciliationApplication::make({});
  auto& application = **made;
  const auto info = application.info();
  EXPECT_EQ(info.title, "Concordat data reconciliation");
  EXPECT_EQ(info.version, "0.1.0");
  const auto endpoints = application.endpoints();
  ASSERT_EQ(endpoints.size(), 4U);
  std::string all = boost::json::serialize(info.schemas);
  for (const auto& endpoint : endpoints)
  {
    EXPECT_TRUE(endpoint.openapi.contains("responses")) << endpoint.path;
    EXPECT_EQ(endpoint.policies, (std::vector{AuthPolicy::member_cert, AuthPolicy::user_cert}));
    all += boost::json::serialize(endpoint.openapi);
  }
  const std::string reference = "#/components/schemas/";
  int found = 0;
  for (auto at = all.find(reference); at != std::string::npos; at = all.find(reference, at + 1), ++found)
  {
    const auto begin = at + reference.size();
    EXPECT_TRUE(info.schemas.contains(all.substr(begin, all.find('"', begin) - begin)));
  }
  EXPECT_GT(found, 10);
}

TEST(Application, StoresAndFindsTextsAsTheyAreSeen)
{
  Service service;
  ASSERT_TRUE(service.ingest(member("m0"), R"([{"lei":" A\u00a0","nace":"Zu\u0308rich"}])").ok());
  ASSERT_TRUE(service.ingest_csv(member("m1"), "lei,nace\nA,Z\xc3\xbcrich\xe2\x80\x8b\n").ok());
  for (const auto* key : {"A", "A%20", "%C2%A0A"})
    EXPECT_TRUE(service.report_one(member("m0"), key).ok()) << key;
  EXPECT_EQ(
      json_of(service.report_one(member("m0"), "A")).at("content").at("members_in_agreement").to_number<int>(), 2);
}

TEST(Application, StoresTextsAsTheyWereSentWhereThatIsAgreed)
{
  Settings settings;
  settings.text_rule = TextRule::exact;
  Service service(settings);
  ASSERT_TRUE(service.ingest(member("m0"), R"([{"lei":"A ","nace":" x "}])").ok());
  EXPECT_EQ(error_type(service.report_one(member("m0"), "A")), "KeyNotFound");
  EXPECT_EQ(json_of(service.report_one(member("m0"), "A%20")).at("content").at("nace").as_string(), " x ");
}

TEST(Application, RefusesTextsThatDifferFromWhatIsSeenWhereThatIsAgreed)
{
  Settings settings;
  settings.text_rule = TextRule::refuse;
  Service service(settings);
  const auto answer = json_of(service.ingest(member("m0"), R"([{"lei":"A","nace":"x"},{"lei":"B","nace":"y "}])"));
  EXPECT_EQ(answer.at("error").at("errorType").as_string(), "InvalidInput");
  EXPECT_EQ(answer.at("error").at("details").at(0).at("row").to_number<int>(), 2);
  EXPECT_EQ(error_type(service.report_one(member("m0"), "A")), "KeyNotFound");
}
}
