#include "cli/progress.h"
#include "cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace concordat::cli
{
TEST(Printable, LetsNothingThroughThatATerminalWouldObey)
{
  EXPECT_EQ(printable("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\x1b[2J\r\n\t\x7f"), "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("\xc2\x9b[2J"), "\\xc2\\x9b[2J");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, ShowsWhatCannotBeSeenAndWhatTurnsTheDirection)
{
  // Soft hyphen, zero width space, right-to-left override and isolate, line separator, byte order mark, a tag.
  for (const auto* hidden :
       {"\xc2\xad", "\xe2\x80\x8b", "\xe2\x80\xae", "\xe2\x81\xa7", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xf3\xa0\x81\x81"})
  {
    const auto shown = printable("a" + std::string(hidden) + "b");
    EXPECT_EQ(shown.find(hidden), std::string::npos) << shown;
    EXPECT_TRUE(shown.starts_with("a\\x") && shown.ends_with("b")) << shown;
  }
}

TEST(Printable, KeepsTheEndsOfLinesAndNothingElse)
{
  EXPECT_EQ(printable_lines("one\n\x1b[2Jtwo\r\n"), "one\n\\x1b[2Jtwo\\x0d\n");
  EXPECT_EQ(printable_lines(""), "");
}

TEST(Printable, LeavesJsonTheSameJson)
{
  EXPECT_EQ(printable_json("{\n\t\"a\":\"\xc3\xa9\"}"), "{\n\t\"a\":\"\xc3\xa9\"}");
  EXPECT_EQ(printable_json("\"\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\""), "\"\\u007f\\u009b\\u202e\\udb40\\udc41\"");
}

TEST(Numbers, AreGroupedByThousands)
{
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

TEST(ShellQuoted, IsOneWord)
{
  EXPECT_EQ(shell_quoted("/a/b-c_1.pem"), "/a/b-c_1.pem");
  EXPECT_EQ(shell_quoted("a b"), "'a b'");
  EXPECT_EQ(shell_quoted("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(shell_quoted(""), "''");
}

TEST(Table, AlignsColumnsByCharactersNotBytes)
{
  std::ostringstream out;
  Console console{out, out};
  Table table(console, {"KEY", "VALUE"});
  table.add({{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"}, {"1"}});
  table.add({{"b"}, {"\x1b"}});
  table.finish();
  EXPECT_EQ(out.str(), "KEY   VALUE\n\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9  1\nb     \\x1b\n");
}

TEST(Table, ColoursOnlyWhereTheConsoleShowsColours)
{
  for (const bool colour : {false, true})
  {
    std::ostringstream out;
    Console console{out, out, colour, colour, colour};
    Table table(console, {"A"});
    table.add({{"x", Colour::red}});
    table.finish();
    EXPECT_EQ(out.str().find("\x1b[31mx\x1b[0m") != std::string::npos, colour);
  }
}

TEST(Table, PrintsRowsBeyondTheFirstAsTheyCome)
{
  std::ostringstream out;
  Console console{out, out};
  Table table(console, {"N"});
  for (int i = 0; i < 1500; ++i)
    table.add({{std::to_string(i)}});
  EXPECT_NE(out.str().find("\n1499\n"), std::string::npos);
}

TEST(Progress, IsDrawnOnATerminalOnly)
{
  for (const bool terminal : {false, true})
  {
    std::ostringstream err;
    Console console{err, err, false, terminal, false};
    Progress progress(console);
    progress.show(5, 10);
    EXPECT_EQ(err.str().find("50%") != std::string::npos, terminal);
    progress.clear();
    EXPECT_EQ(err.str().ends_with("\r\x1b[K"), terminal);
  }
}

TEST(Progress, SaysHowFarAndHowFast)
{
  EXPECT_EQ(progress_line(4000, 10000, 0.5), "[############------------------]  40%  4,000/10,000 records  8,000/s");
  EXPECT_EQ(progress_line(1, 1, 0), "[##############################] 100%  1/1 records  0/s");
}
}
