#include "cli/report.h"

#include "cli/report_reader.h"

#include <gtest/gtest.h>

#include <sstream>

namespace concordat::cli
{
namespace
{
const std::string tail = R"(,"error":null,"success":true,"failure":false,"statusCode":200,"status":"Success"})";

/// The records found when the answer arrives in pieces of that size.
std::vector<std::string> records_of(const std::string& answer, std::size_t piece_size, bool* complete = nullptr)
{
  std::vector<std::string> records;
  ReportReader reader(
      [&](std::string_view record)
      {
        records.emplace_back(record);
        return true;
      });
  for (std::size_t at = 0; at < answer.size(); at += piece_size)
    if (!reader.feed(std::string_view(answer).substr(at, piece_size)))
      break;
  if (complete != nullptr)
    *complete = reader.complete();
  return records;
}

std::string
written(ReportFormat format, const std::vector<std::string>& records, bool raw = false, bool terminal = false)
{
  std::ostringstream out;
  Console console{out, out, terminal};
  const auto writer = ReportWriter::make(format, raw, console);
  for (const auto& record : records)
    EXPECT_TRUE(writer->write(record));
  writer->finish();
  return out.str();
}
}

TEST(ReportReader, FindsTheRecordsHoweverTheAnswerIsCut)
{
  const std::vector<std::string> records{
      R"({"lei":"a}],{[\\\"","nace":"{\"x\":[1]}"})", R"({"lei":"b","nested":{"x":[{}]}})", "{}"};
  const auto answer = "{\"content\":[" + records[0] + "," + records[1] + " , " + records[2] + "]" + tail;
  for (std::size_t size = 1; size <= answer.size(); ++size)
  {
    bool complete = false;
    ASSERT_EQ(records_of(answer, size, &complete), records) << size;
    EXPECT_TRUE(complete);
  }
}

TEST(ReportReader, NoticesAnAnswerThatIsCutOff)
{
  bool complete = true;
  EXPECT_EQ(records_of(R"({"content":[{"lei":"a"},{"lei":)", 5, &complete).size(), 1U);
  EXPECT_FALSE(complete);
  records_of("", 1, &complete);
  EXPECT_FALSE(complete);
}

TEST(ReportReader, TakesNoRecordsFromAnErrorOrFromNonsense)
{
  EXPECT_TRUE(records_of(R"({"content":null,"error":{"errorType":"X","details":[{"row":1}]}})", 3).empty());
  EXPECT_TRUE(records_of("[{}]", 1).empty());
  EXPECT_TRUE(records_of(std::string(100'000, '['), 1000).empty());
  EXPECT_TRUE(records_of("}{]", 1).empty());
}

TEST(ReportWriter, WritesTablesWithSchemaFieldsUncoloured)
{
  EXPECT_EQ(
      written(
          ReportFormat::table,
          {R"({"lei":"A","nace":"\u001b[31m","count":1})", R"({"lei":"BBB","nace":"","count":2})"}),
      "lei  nace      count\nA    \\x1b[31m  1\nBBB            2\n");
}

TEST(ReportWriter, WritesCsvThatOtherProgramsCanRead)
{
  EXPECT_EQ(
      written(ReportFormat::csv, {R"({"lei":"a,\"b\"\n","nace":"plain","count":3})"}),
      "lei,nace,count\n\"a,\"\"b\"\"\n\",plain,3\n");
}

TEST(ReportWriter, WritesAJsonArray)
{
  EXPECT_EQ(written(ReportFormat::json, {R"({"a":1})", R"({"b":2})"}), "[\n{\"a\":1},\n{\"b\":2}\n]\n");
  EXPECT_EQ(written(ReportFormat::json, {}), "[]\n");
}

TEST(ReportWriter, RefusesWhatIsNoRecord)
{
  std::ostringstream out;
  Console console{out, out};
  EXPECT_FALSE(ReportWriter::make(ReportFormat::table, false, console)->write("[1]"));
  EXPECT_FALSE(ReportWriter::make(ReportFormat::csv, false, console)->write("{"));
}

TEST(PercentEncoded, LeavesOnlyUnreservedCharacters)
{
  EXPECT_EQ(percent_encoded("aZ0-._~"), "aZ0-._~");
  EXPECT_EQ(percent_encoded("a/b c%\xc3\xa9?"), "a%2Fb%20c%25%C3%A9%3F");
}

TEST(ReportWriter, MarksCsvCellsThatASpreadsheetWouldRun)
{
  for (const auto* cell : {"=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "-", "\\t=1"})
  {
    const auto record = std::string(R"({"lei":")") + cell + R"("})";
    const auto csv = written(ReportFormat::csv, {record});
    EXPECT_TRUE(csv.starts_with("lei\n'") || csv.starts_with("lei\n\"'")) << csv;
    const auto raw = written(ReportFormat::csv, {record}, true);
    EXPECT_FALSE(raw.starts_with("lei\n'") || raw.starts_with("lei\n\"'")) << raw;
  }
}

TEST(ReportWriter, LeavesNumbersAndOtherCsvCellsAlone)
{
  EXPECT_EQ(
      written(ReportFormat::csv, {R"({"a":"-5","b":"+3,25","c":-7,"d":"C.10=1","e":""})"}),
      "a,b,c,d,e\n-5,\"+3,25\",-7,C.10=1,\n");
}

TEST(ReportWriter, LetsNothingThroughInAnyFormatThatATerminalWouldObey)
{
  const std::string record = "{\"lei\":\"\\u001b[2J\xe2\x80\xae\x7f\"}";
  for (const auto format : {ReportFormat::table, ReportFormat::json, ReportFormat::csv})
  {
    const auto text = written(format, {record}, false, true);
    EXPECT_EQ(text.find_first_of("\x1b\x7f"), std::string::npos) << text;
    EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos) << text;
  }
}

TEST(ReportWriter, WritesCsvToAFileAsItIs)
{
  EXPECT_EQ(written(ReportFormat::csv, {"{\"lei\":\"a\xe2\x80\xae\"}"}), "lei\na\xe2\x80\xae\n");
}
}
