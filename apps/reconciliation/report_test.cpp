#include "reconciliation/report.h"
#include "reconciliation/test_support.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace concordat::reconciliation
{
namespace
{
using test::content_of;
using test::json_of;
using test::member;
using test::Service;

Verdict judged(std::string_view own, std::vector<std::string_view> others, std::uint64_t threshold = 3)
{
  return judge(own, others, threshold);
}

std::string seeded(std::uint64_t seed)
{
  return "seed " + std::to_string(seed);
}

/// The seed of random tests: that of CONCORDAT_SEED, or a new one.
std::uint64_t pick_seed()
{
  const char* const given = std::getenv("CONCORDAT_SEED");
  return given != nullptr ? std::stoull(given) : std::random_device{}();
}

/// organisation → key → value
using Model = std::map<std::string, std::map<std::string, std::string>>;

/// What the rules say, counted in the plainest way.
boost::json::array expected_report(const Model& model, const std::string& voter, std::uint64_t threshold)
{
  boost::json::array report;
  for (const auto& [key, own] : model.at(voter))
  {
    std::uint64_t votes = 0;
    std::uint64_t agreeing = 0;
    std::set<std::string> values;
    for (const auto& [organisation, records] : model)
    {
      const auto vote = records.find(key);
      if (vote == records.end())
        continue;
      ++votes;
      agreeing += vote->second == own;
      values.insert(vote->second);
    }
    report.push_back(boost::json::object{
        {"lei", key},
        {"nace", own},
        {"group_status", votes < threshold    ? "NOT_ENOUGH_DATA"
                         : values.size() == 1 ? "IN_CONSENSUS"
                                              : "LACK_OF_CONSENSUS"},
        {"majority_minority", agreeing * 2 > votes ? "Majority" : "Minority"},
        {"count_of_unique_values", values.size()},
        {"members_in_agreement", agreeing}});
  }
  return report;
}
}

TEST(Judge, NeedsAsManyVotesAsTheThreshold)
{
  EXPECT_EQ(judged("a", {}).status, GroupStatus::not_enough_data);
  EXPECT_EQ(judged("a", {"a"}).status, GroupStatus::not_enough_data);
  EXPECT_EQ(judged("a", {"a", "a"}).status, GroupStatus::in_consensus);
  EXPECT_EQ(judged("a", {"a", "b"}).status, GroupStatus::lack_of_consensus);
  EXPECT_EQ(judged("a", {}, 1).status, GroupStatus::in_consensus);
}

TEST(Judge, GivesATieToTheMinority)
{
  EXPECT_TRUE(judged("a", {}).majority);
  EXPECT_FALSE(judged("a", {"b"}).majority);
  EXPECT_TRUE(judged("a", {"b", "a"}).majority);
  EXPECT_FALSE(judged("a", {"b", "a", "c"}).majority);
}

TEST(Judge, CountsUniqueValuesOfFewAndOfManyVotes)
{
  EXPECT_EQ(judged("", {"", "x"}).unique_values, 2U);
  for (const std::size_t copies : {1, 100})
  {
    std::vector<std::string_view> others;
    for (std::size_t i = 0; i < copies; ++i)
      others.insert(others.end(), {"b", "c", "b", "d"});
    EXPECT_EQ(judged("a", others).unique_values, 4U);
    EXPECT_EQ(judged("c", others).unique_values, 3U);
    EXPECT_EQ(judged("c", others).members_in_agreement, copies + 1);
  }
}

TEST(Report, IsThatOfTheRulesOnRandomVotes)
{
  const auto seed = pick_seed();
  SCOPED_TRACE(seeded(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60; ++round)
  {
    const std::uint64_t threshold = 1 + random() % 4;
    Settings settings;
    settings.vote_threshold = threshold;
    settings.text_rule = TextRule::exact;
    Service service(settings);
    Model model;
    const auto organisations = 1 + random() % 6;
    const auto keys = 1 + random() % 120;
    for (int request = 0; request < 12; ++request)
    {
      const auto name = "m" + std::to_string(random() % organisations);
      boost::json::array batch;
      for (auto left = 1 + random() % 40; left > 0; --left)
      {
        const auto key = "k" + std::to_string(random() % keys);
        const auto value = "v" + std::to_string(random() % 3);
        model[name][key] = value;
        batch.push_back(boost::json::object{{"lei", key}, {"nace", value}});
      }
      ASSERT_EQ(service.ingest(member(name), boost::json::serialize(batch)).status, 200);
    }
    for (const auto& [name, records] : model)
    {
      const auto expected = expected_report(model, name, threshold);
      EXPECT_EQ(content_of(service.report(member(name))), boost::json::serialize(expected));
      for (const auto& record : expected)
        EXPECT_EQ(
            content_of(service.report_one(member(name), std::string(record.at("lei").as_string()))),
            boost::json::serialize(record));
    }
  }
}

TEST(Report, OfThousandsIsStreamedInPiecesAndSaysTheSame)
{
  const auto seed = pick_seed();
  SCOPED_TRACE(seeded(seed));
  std::mt19937_64 random(seed);
  Service service(Settings{.vote_threshold = 3, .text_rule = TextRule::exact});
  Model model;
  for (const std::string name : {"m0", "m1", "m2", "m3"})
  {
    std::string csv = "lei,nace\n";
    for (int i = 0; i < 4000; ++i)
    {
      // Runs of keys that one organisation has alone make the cursors of the others jump.
      const auto key = "key" + std::to_string(name == "m3" ? 100'000 + random() % 9000 : 100'000 + random() % 90'000);
      const auto value = random() % 2 ? "x" : "y\"\n";
      model[name][key] = value;
      csv += key + (value[0] == 'x' ? ",x\n" : ",\"y\"\"\n\"\n");
    }
    ASSERT_EQ(service.ingest_csv(member(name), csv).status, 200);
  }
  for (const auto& [name, records] : model)
  {
    auto response = service.report(member(name));
    ASSERT_TRUE(response.stream);
    std::string all;
    std::string piece;
    int pieces = 0;
    while (response.stream->next(piece))
    {
      EXPECT_LT(piece.size(), std::size_t{256} << 10);
      all += piece;
      ++pieces;
    }
    EXPECT_GT(pieces, 2);
    EXPECT_FALSE(response.stream->next(piece));
    EXPECT_EQ(
        boost::json::serialize(boost::json::parse(all).at("content")),
        boost::json::serialize(expected_report(model, name, 3)));
  }
}

TEST(Report, PagesPutTogetherAreTheWhole)
{
  Service service;
  boost::json::array batch;
  for (int i = 0; i < 25; ++i)
    batch.push_back(boost::json::object{{"lei", "k" + std::to_string(i)}, {"nace", "v"}});
  // A key that is the beginning of another, and keys that need care in a query.
  for (const auto* key : {"k", "k 1", "a=b", "\xc3\xa9"})
    batch.push_back(boost::json::object{{"lei", key}, {"nace", "v"}});
  ASSERT_EQ(service.ingest(member("m0"), boost::json::serialize(batch)).status, 200);
  const auto whole = json_of(service.report(member("m0"))).at("content").as_array();
  ASSERT_EQ(whole.size(), 29U);
  for (int limit = 1; limit < 31; ++limit)
  {
    boost::json::array together;
    std::string query = "limit=" + std::to_string(limit);
    while (true)
    {
      const auto page = json_of(service.report(member("m0"), query)).at("content").as_array();
      if (page.empty())
        break;
      ASSERT_LE(page.size(), static_cast<std::size_t>(limit));
      together.insert(together.end(), page.begin(), page.end());
      query = "limit=" + std::to_string(limit) + "&after=" + std::string(page.back().at("lei").as_string());
    }
    EXPECT_EQ(together, whole);
  }
}
}
