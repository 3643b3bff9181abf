#include "consensus/log_record.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
TEST(LogRecord, IsReadAsItWasWritten)
{
  const LogRecord record{1234, {{7, 1230}, {9, 1233}}, {{1, 2, 9}, {4}, {1, 3}, {3}}};
  const auto read = LogRecord::from_json(record.to_json());
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, record);
}

TEST(LogRecord, SaysHowAChangeWasMade)
{
  const ConfigurationChange alone{{{3, Role::none}}, true};
  for (const auto& [configuration, change] :
       {std::pair(Configuration{.voters = {1, 2}, .voters_outgoing = {1, 2, 3}}, alone),
        std::pair(Configuration{.voters = {1, 2}}, ConfigurationChange{{{3, Role::none}}}),
        std::pair(Configuration{.voters = {1, 2}}, ConfigurationChange{})})
  {
    const LogRecord record{0, {}, configuration, change};
    EXPECT_EQ(LogRecord::from_json(record.to_json()), record);
  }
}

TEST(LogRecord, RefusesWhatIsNone)
{
  const auto good = LogRecord{5, {{2, 4}}, {{1, 2, 3}, {}, {}, {}}}.to_json();
  const auto with = [&](std::string_view what, std::string_view instead)
  {
    auto text = good;
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), instead);
  };
  for (const auto& wrong :
       {std::string(), std::string("[]"), std::string("{}"), with("\"index\":5", "\"index\":0"),
        with("\"index\":5", "\"index\":-5"), with("\"index\":5", "\"index\":\"5\""), with("[1,2,3]", "[]"),
        with("[1,2,3]", "[3,2,1]"), with("[1,2,3]", "[1,2,-3]"), with("[1,2,3]", "\"1\""), with("[[2,4]]", "[[2]]"),
        with("[[2,4]]", "[2,4]"), with("[[2,4]]", "[[2,-4]]"), with("\"opened\"", "\"closed\"")})
  {
    const auto read = LogRecord::from_json(wrong);
    ASSERT_FALSE(read) << wrong;
    EXPECT_TRUE(read.error().code == ErrorCode::corrupt || read.error().code == ErrorCode::invalid) << wrong;
  }
}
}
