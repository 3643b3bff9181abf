#include "reconciliation/settings.h"

#include "reconciliation/test_support.h"

#include <algorithm>

namespace concordat::reconciliation
{
namespace
{
using test::content_of;
using test::error_type;
using test::json_of;
using test::member;
using test::Service;

Settings other_settings()
{
  Settings settings;
  settings.round = {7, 300};
  settings.vote_threshold = 12;
  settings.total_votes_count = true;
  settings.text_rule = TextRule::refuse;
  settings.schema = {"key", "value"};
  return settings;
}

Result<Settings> read_back(const std::string& text)
{
  test::MapTransaction state({{std::string(data_sets_table), {{std::string(default_data_set), text}}}});
  return agreed_settings(state);
}

bool is_corrupt(const std::string& text)
{
  const auto settings = read_back(text);
  return !settings && settings.error().code == ErrorCode::corrupt;
}

constexpr auto record = R"([{"lei":"A","nace":"1"}])";
}

TEST(InitialSettings, AreWhatTheConfigurationNamesAndDefaultsElse)
{
  EXPECT_EQ(*initial_settings({}), Settings{});
  const auto settings = initial_settings({{"vote_threshold", 5}, {"total_votes_count", true}, {"text_rule", "exact"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->vote_threshold, 5U);
  EXPECT_TRUE(settings->total_votes_count);
  EXPECT_EQ(settings->text_rule, TextRule::exact);
}

TEST(InitialSettings, NameTheKeyThatIsWrong)
{
  using boost::json::value;
  const std::pair<std::string, std::vector<value>> wrong[] = {
      {"vote_threshold", {0, -1, 1.5, 2.0, "3", nullptr, value(boost::json::array{3})}},
      {"total_votes_count", {0, 1, "true", nullptr}},
      {"text_rule", {"Exact", "", "other", 1, nullptr, true}},
      {"treshold", {3}},
      {"round", {2}},
      {"number", {2}}};
  for (const auto& [key, values] : wrong)
    for (const auto& one : values)
    {
      const auto refused = initial_settings({{key, one}});
      ASSERT_FALSE(refused) << key << one;
      EXPECT_EQ(refused.error().code, ErrorCode::invalid);
      EXPECT_TRUE(refused.error().message.starts_with("application." + key + ": ")) << refused.error().message;
    }
  EXPECT_FALSE(make_application({{"treshold", 3}}));
  EXPECT_TRUE(make_application({}));
}

TEST(AgreedSettings, AreThoseThatWereWritten)
{
  for (const auto& settings : {Settings{}, other_settings()})
  {
    const auto write = governed_write(settings);
    EXPECT_EQ(write.map, "public:ccf.gov.reconciliation.data_sets");
    EXPECT_EQ(write.key, "default");
    EXPECT_EQ(*read_back(write.value), settings);
    EXPECT_EQ(*read_back(write.value), settings);
  }
  EXPECT_EQ(
      governed_write(Settings{}).value,
      R"({"key_field":"lei","number":1,"round":1,"text_rule":"normalise","total_votes_count":false,)"
      R"("vote_threshold":3,"value_field":"nace"})");
}

TEST(AgreedSettings, ThatCannotBeReadAreNoSettings)
{
  test::MapTransaction nothing({});
  const auto missing = agreed_settings(nothing);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);

  const auto good = boost::json::parse(governed_write(Settings{}).value).as_object();
  for (const auto& member : good)
  {
    auto less = good;
    less.erase(member.key());
    EXPECT_TRUE(is_corrupt(boost::json::serialize(less))) << member.key();
    auto changed = good;
    changed[member.key()] = nullptr;
    EXPECT_TRUE(is_corrupt(boost::json::serialize(changed))) << member.key();
  }
  auto more = good;
  more["rounding"] = 1;
  for (const auto& text : {std::string(), std::string("[]"), std::string("{"), boost::json::serialize(more)})
    EXPECT_TRUE(is_corrupt(text)) << text;
}

TEST(AgreedSettings, HoldFromTheTransactionOnThatWritesThem)
{
  Service service;
  for (const auto* const name : {"m1", "m2"})
    ASSERT_EQ(service.ingest(member(name), record).status, 200);
  const auto status = [&]
  { return json_of(service.report_one(member("m1"), "A")).at("content").at("group_status").as_string(); };
  EXPECT_EQ(status(), "NOT_ENOUGH_DATA");

  Settings changed;
  changed.vote_threshold = 2;
  changed.total_votes_count = true;
  service.agree_on(changed);
  EXPECT_EQ(status(), "IN_CONSENSUS");
  constexpr auto row = R"({"lei":"A","nace":"1","group_status":"IN_CONSENSUS","majority_minority":"Majority",)"
                       R"("count_of_unique_values":1,"members_in_agreement":2,"total_votes_count":2})";
  EXPECT_EQ(content_of(service.report_one(member("m1"), "A")), row);
  EXPECT_EQ(content_of(service.report(member("m1"))), "[" + std::string(row) + "]");
}

TEST(AgreedSettings, KeepRoundsAndDataSetsApart)
{
  Service service;
  const auto votes_of = [&](const std::string& name)
  {
    auto answer = service.report_one(member(name), "A");
    return answer.ok() ? json_of(std::move(answer)).at("content").at("total_votes_count").to_number<int>() : 0;
  };
  Settings settings;
  settings.total_votes_count = true;
  // Numbers of one byte and of several, so that one number's bytes could be taken for another's.
  const Round rounds[] = {{1, 1}, {1, 2}, {2, 1}, {1, 239}, {1, 240}, {1, 255}, {1, 256}, {240, 1}, {1, 65536}};
  for (const auto round : rounds)
  {
    settings.round = round;
    service.agree_on(settings);
    EXPECT_EQ(votes_of("m1"), 0);
    EXPECT_EQ(error_type(service.report(member("m1"))), "NoDataToReport");
    ASSERT_EQ(service.ingest(member("m1"), record).status, 200);
    EXPECT_EQ(votes_of("m1"), 1);
    ASSERT_EQ(service.ingest(member("m2"), record).status, 200);
    EXPECT_EQ(votes_of("m1"), 2);
  }
}

TEST(AgreedSettings, AreNeededToAnswer)
{
  Service service;
  service.maps.erase(std::string(data_sets_table));
  EXPECT_EQ(error_type(service.ingest(member("m1"), record)), "NoAgreedSettings");
  EXPECT_EQ(error_type(service.report(member("m1"))), "NoAgreedSettings");
  EXPECT_EQ(error_type(service.report_one(member("m1"), "A")), "NoAgreedSettings");
  EXPECT_TRUE(service.maps.empty());
}

TEST(Overruled, NamesWhatTheFileSaysOtherwise)
{
  Settings agreed;
  agreed.vote_threshold = 5;
  EXPECT_TRUE(overruled({}, agreed).empty());
  EXPECT_TRUE(overruled({{"vote_threshold", 5}, {"text_rule", "normalise"}}, agreed).empty());
  EXPECT_EQ(
      overruled({{"vote_threshold", 3}, {"total_votes_count", false}}, agreed),
      std::vector<std::string>{"application.vote_threshold is 3 in the configuration, but the service has agreed on 5, "
                               "which holds"});
  EXPECT_EQ(overruled({{"total_votes_count", true}, {"text_rule", "exact"}}, agreed).size(), 2U);
}

TEST(OrderedNumbers, AreOrderedByValueAndNoneBeginsAnother)
{
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t n = 0; n < 600; ++n)
    numbers.push_back(n);
  for (unsigned bits = 10; bits < 64; ++bits)
    for (const std::int64_t around : {-1, 0, 1})
      numbers.push_back((std::uint64_t{1} << bits) + static_cast<std::uint64_t>(around));
  numbers.push_back(UINT64_MAX);
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::string> encoded;
  for (const auto number : numbers)
    append_ordered(encoded.emplace_back(), number);
  for (std::size_t i = 0; i + 1 < numbers.size(); ++i)
  {
    if (numbers[i] == numbers[i + 1])
      continue;
    EXPECT_LT(encoded[i], encoded[i + 1]) << numbers[i];
    EXPECT_FALSE(encoded[i + 1].starts_with(encoded[i])) << numbers[i];
  }
  EXPECT_EQ(encoded[0xef], "\xef");
  EXPECT_EQ(encoded[0xf0], "\xf0\xf0");
  EXPECT_EQ(encoded[256], std::string("\xf1\x01\0", 3));
}

TEST(Layout, IsAsDocumented)
{
  EXPECT_EQ(key_prefix({1, 1}, 1), std::string("\x01\x01\x01\x01"));
  EXPECT_EQ(key_prefix({2, 3}, 4), std::string("\x01\x02\x03\x04"));
  Service service;
  ASSERT_EQ(service.ingest(member("m1"), record).status, 200);
  EXPECT_EQ(
      service.maps["recon.votes"], (test::Map{
                                       {"\x01\x01\x01\x01"
                                        "A",
                                        "1"}}));
  EXPECT_EQ(service.maps["recon.organisations"], (test::Map{{"\x01m1", std::string("\0\0\0\x01", 4)}}));
}
}
