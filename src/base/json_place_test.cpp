#include "concordat/json_place.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace concordat
{
namespace
{
std::string mistake(std::string_view text)
{
  const auto found = find_json_mistake(text);
  return found ? found->describe() : "none";
}
}

TEST(JsonPlace, NamesLineAndColumnOfTheFirstMistake)
{
  EXPECT_EQ(mistake("[\n {\"a\":1},\n]\n"), "line 2, column 9: a comma with nothing between it and ]");
  EXPECT_EQ(mistake("{\"a\":1,}"), "line 1, column 7: a comma with nothing between it and }");
  EXPECT_EQ(mistake("{\"a\" 1}"), "line 1, column 6: a colon is expected here");
  EXPECT_EQ(mistake("{a:1}"), "line 1, column 2: a name in double quotes is expected here");
  EXPECT_EQ(mistake("[1\n2]"), "line 2, column 1: a comma or ] is expected here");
  EXPECT_EQ(mistake("[\n'x']"), "line 2, column 1: a single quote; JSON has double quotes");
  EXPECT_EQ(mistake("[1]\n[2]"), "line 2, column 1: more text after the end of the value");
  EXPECT_EQ(mistake("[\"open"), "line 1, column 2: a text in quotes that is never closed");
  EXPECT_EQ(mistake("[{\"a\":\"b"), "line 1, column 7: a text in quotes that is never closed");
  EXPECT_EQ(mistake("[1"), "line 1, column 3: the text ends within an array");
  EXPECT_EQ(mistake("{"), "line 1, column 2: the text ends within an object");
  EXPECT_EQ(mistake("\xef\xbb\xbf  "), "line 1, column 6: the text is empty");
  EXPECT_EQ(mistake("[\"\xff\"]"), "line 1, column 3: a byte that is not UTF-8");
  EXPECT_EQ(mistake("[NaN]"), "line 1, column 2: this is not a JSON value (a text needs double quotes)");
}

TEST(JsonPlace, AgreesWithAParserOnWhatIsJson)
{
  for (const auto* text :
       {"[]",
        "{}",
        "[1,-2.5e+3,0]",
        "01",
        "-",
        "[1,]",
        "[,1]",
        "{\"a\":[]}",
        "{\"a\":}",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "true",
        "tru",
        "null ",
        "nullx",
        "1.",
        "1e",
        "\"\xed\xa0\x80\"",
        "\"\xc3\xa9\"",
        "\"a\nb\"",
        "[[[1]]]",
        "[[1]",
        "{\"a\":1 \"b\":2}",
        "\"\\",
        "-0",
        "-01",
        "{\"a\":1,\"b\"}",
        "{,}",
        "\"\xc0\x80\""})
  {
    boost::system::error_code error;
    boost::json::parse(text, error);
    EXPECT_EQ(!find_json_mistake(text), !error) << text << ": " << mistake(text);
  }
}

TEST(JsonPlace, IsNotFooledByDepth)
{
  EXPECT_EQ(mistake(std::string(2'000'000, '[')), "none");
  EXPECT_EQ(mistake(std::string(1000, '[') + ","), "line 1, column 1001: a comma where a value is expected");
}

TEST(JsonPlace, NamesWhatIsJsonButTooMuchOfIt)
{
  const auto obstacle = [](std::string_view text)
  {
    const auto found = find_json_obstacle(text);
    return found ? found->describe() : std::string("none");
  };
  EXPECT_EQ(obstacle("[\n18446744073709551616]"), "line 2, column 1: a number that does not fit into 64 bits");
  EXPECT_EQ(obstacle("[-9223372036854775809]"), "line 1, column 2: a number that does not fit into 64 bits");
  EXPECT_EQ(obstacle("{\"a\":1e999}"), "line 1, column 6: a number that does not fit into 64 bits");
  EXPECT_EQ(obstacle("[18446744073709551615,-9223372036854775808,1e300,0.5]"), "none");
  EXPECT_EQ(obstacle(std::string(1025, '[')), "line 1, column 1025: more than 1,024 levels of arrays and objects");
  EXPECT_EQ(obstacle("[18446744073709551616,]"), "line 1, column 22: a comma with nothing between it and ]");
}
}
