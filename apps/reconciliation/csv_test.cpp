#include "reconciliation/csv.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace concordat::reconciliation
{
namespace
{
using Rows = std::vector<std::vector<std::string>>;

/// All rows, or the error in the form `line:column: reason`.
std::pair<Rows, std::string> read_all(std::string_view text)
{
  CsvReader reader(text);
  Rows rows;
  CsvReader::Next next;
  while ((next = reader.next()) == CsvReader::Next::row)
    rows.emplace_back(reader.fields().begin(), reader.fields().end());
  if (next == CsvReader::Next::end)
    return {rows, ""};
  const auto& error = reader.error();
  return {rows, std::to_string(error.line) + ":" + std::to_string(error.column) + ": " + error.reason};
}

std::string error_place(std::string_view text)
{
  const auto error = read_all(text).second;
  return error.substr(0, error.find(' '));
}
}

// RFC 4180 §2, the examples of its rules 1 to 7.
TEST(Csv, ReadsTheExamplesOfTheStandard)
{
  const Rows two{{"aaa", "bbb", "ccc"}, {"zzz", "yyy", "xxx"}};
  EXPECT_EQ(read_all("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n").first, two);
  EXPECT_EQ(read_all("aaa,bbb,ccc\r\nzzz,yyy,xxx").first, two);
  EXPECT_EQ(read_all("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx").first, two);
  EXPECT_EQ(
      read_all("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nzzz,yyy,xxx").first,
      (Rows{{"aaa", "b\r\nbb", "ccc"}, {"zzz", "yyy", "xxx"}}));
  EXPECT_EQ(read_all("\"aaa\",\"b\"\"bb\",\"ccc\"").first, (Rows{{"aaa", "b\"bb", "ccc"}}));
}

TEST(Csv, KeepsSpacesAndEmptyFields)
{
  EXPECT_EQ(read_all(" a , b\n,\n").first, (Rows{{" a ", " b"}, {"", ""}}));
  EXPECT_EQ(read_all("a,").first, (Rows{{"a", ""}}));
  EXPECT_EQ(read_all("\"\",\"\"\"\"").first, (Rows{{"", "\""}}));
  EXPECT_EQ(read_all("\n").first, (Rows{{""}}));
  EXPECT_EQ(read_all("").first, Rows{});
}

TEST(Csv, SkipsTheByteOrderMark)
{
  EXPECT_EQ(read_all("\xef\xbb\xbfh\nv").first, (Rows{{"h"}, {"v"}}));
  EXPECT_EQ(read_all("\xef\xbb\xbf").first, Rows{});
}

TEST(Csv, SaysWhereItIsWrong)
{
  EXPECT_EQ(error_place("a,b\nc\"d,e\n"), "2:2:");
  EXPECT_EQ(error_place("a\n\"b\nc\"d\n"), "3:3:");
  EXPECT_EQ(error_place("a,b\n\"x\ny\n,z"), "2:1:");
  EXPECT_EQ(error_place("a\rb\n"), "1:2:");
  EXPECT_EQ(error_place("a\r"), "1:2:");
  EXPECT_EQ(error_place("\"a\"\rb"), "1:4:");
  EXPECT_EQ(error_place(std::string_view("a\nb\0c", 5)), "2:2:");
  EXPECT_EQ(error_place(std::string_view("\"\0\"", 3)), "1:2:");
  EXPECT_EQ(error_place("a\xc3\xa9\xc3\xa9\nb\xff\n"), "2:2:");
  EXPECT_EQ(error_place("a\n\xc3"), "2:1:");
  EXPECT_EQ(error_place(std::string(CsvDialect{}.max_fields, ',')), "1:257:");
}

TEST(Csv, CountsLinesAndGivesTheRawRow)
{
  CsvReader reader("a\r\n\"b\n\nc\"\nd");
  ASSERT_EQ(reader.next(), CsvReader::Next::row);
  EXPECT_EQ(reader.line(), 1U);
  EXPECT_EQ(reader.raw(), "a\r\n");
  ASSERT_EQ(reader.next(), CsvReader::Next::row);
  EXPECT_EQ(reader.line(), 2U);
  EXPECT_EQ(reader.raw(), "\"b\n\nc\"\n");
  ASSERT_EQ(reader.next(), CsvReader::Next::row);
  EXPECT_EQ(reader.line(), 5U);
  EXPECT_EQ(reader.raw(), "d");
  EXPECT_EQ(reader.next(), CsvReader::Next::end);
  EXPECT_EQ(reader.next(), CsvReader::Next::end);
}

RC_GTEST_PROP(Csv, ReadsBackWhatIsWrittenWithQuotes, ())
{
  const auto field = rc::gen::container<std::string>(rc::gen::element('a', ',', '"', '\n', '\r', ' ', '7'));
  const auto rows = *rc::gen::container<Rows>(rc::gen::container<std::vector<std::string>>(3, field));
  std::string text;
  for (const auto& row : rows)
  {
    for (const auto& value : row)
    {
      text += &value == &row.front() ? "\"" : ",\"";
      for (const char c : value)
        text += c == '"' ? "\"\"" : std::string(1, c);
      text += '"';
    }
    text += *rc::gen::element<std::string>("\n", "\r\n");
  }
  const auto [read, error] = read_all(text);
  RC_ASSERT(error == "");
  RC_ASSERT(read == rows);
}

RC_GTEST_PROP(Csv, RawRowsPutTogetherAreTheText, ())
{
  const auto text = *rc::gen::container<std::string>(rc::gen::element('a', ',', '"', '\n', ' '));
  CsvReader reader(text);
  std::string together;
  CsvReader::Next next;
  while ((next = reader.next()) == CsvReader::Next::row)
    together += reader.raw();
  RC_ASSERT(text.starts_with(together));
  RC_ASSERT(next == CsvReader::Next::error || together == text);
}
}
