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
