#include "cli/submission_parts.h"

#include "reconciliation/ingest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace concordat::cli
{
namespace
{
std::vector<Part> split(std::string_view text, InputFormat format, PartLimits limits = {})
{
  auto splitter = Splitter::open(text, format, limits);
  std::vector<Part> parts;
  while (splitter)
  {
    auto part = (*splitter)->next();
    if (!part)
      break;
    parts.push_back(std::move(*part));
  }
  return parts;
}

std::string refusal(std::string_view text, InputFormat format)
{
  const auto splitter = Splitter::open(text, format, {});
  return splitter ? "accepted" : splitter.error().cause;
}

std::vector<std::string> bodies(const std::vector<Part>& parts)
{
  std::vector<std::string> all;
  for (const auto& part : parts)
    all.push_back(part.body);
  return all;
}

using Texts = std::vector<std::string>;
}

TEST(Split, CutsCsvBetweenRowsAndRepeatsTheHeader)
{
  const auto parts = split("\xef\xbb\xbflei,nace\r\na,\"1\n2\"\r\nb,2\r\nc,3", InputFormat::csv, {1000, 2});
  EXPECT_EQ(bodies(parts), (Texts{"lei,nace\r\na,\"1\n2\"\r\nb,2\r\n", "lei,nace\r\nc,3\n"}));
  EXPECT_EQ(parts[1].first_record, 3U);
  EXPECT_EQ(parts[1].records, 1U);
  EXPECT_EQ(parts[1].first_line, 5U);
  EXPECT_EQ(parts[1].first_line_in_body, 2U);
}

TEST(Split, CutsJsonBetweenElementsWhereverBracketsStand)
{
  const auto parts =
      split(R"( [ {"lei":"]},[{\"","nace":"\\"} , {"lei":"b","x":[1,{"y":2}]}, 7 ] )", InputFormat::json, {1000, 1});
  EXPECT_EQ(bodies(parts), (Texts{R"([{"lei":"]},[{\"","nace":"\\"}])", R"([{"lei":"b","x":[1,{"y":2}]}])", "[7]"}));
}

TEST(Split, TakesOneRecordAndARecordALine)
{
  EXPECT_EQ(bodies(split("{\"lei\":\"a\"}\n", InputFormat::json)), (Texts{"[{\"lei\":\"a\"}]"}));
  EXPECT_EQ(
      bodies(split("{\"lei\":\"a\"}\r\n\n  {\"lei\":\"b\"}", InputFormat::ndjson)),
      (Texts{"[{\"lei\":\"a\"},{\"lei\":\"b\"}]"}));
}

TEST(Split, KeepsToTheSizeAndSendsALargeRecordAlone)
{
  std::string csv = "lei,nace\n";
  std::string json = "[";
  for (int i = 0; i < 50; ++i)
  {
    csv += std::string(i == 20 ? 200 : 10, 'k') + ",v\n";
    json += std::string(i ? "," : "") + "\"" + std::string(i == 20 ? 200 : 10, 'k') + "\"";
  }
  json += "]";
  for (const auto& parts : {split(csv, InputFormat::csv, {100, 1000}), split(json, InputFormat::json, {100, 1000})})
  {
    std::uint64_t records = 0;
    for (const auto& part : parts)
    {
      EXPECT_TRUE(part.body.size() <= 100 || part.records == 1) << part.body;
      EXPECT_EQ(part.first_record, records + 1);
      records += part.records;
    }
    EXPECT_EQ(records, 50U);
    EXPECT_GT(parts.size(), 5U);
  }
}

TEST(Split, SaysWhatIsWrongBeforeAnythingIsSent)
{
  EXPECT_EQ(refusal("lei,nace\na,b\"c\n", InputFormat::csv).substr(0, 39), "the input is not CSV: line 2, byte 4: a");
  EXPECT_TRUE(refusal("[{]", InputFormat::json).starts_with("the input is not JSON"));
  EXPECT_TRUE(refusal("{}\n\n{", InputFormat::ndjson).starts_with("line 3 of the input is not JSON"));
  EXPECT_TRUE(refusal("{},{}", InputFormat::ndjson).starts_with("line 1 of the input is not JSON"));
  for (const auto& [text, format] :
       {std::pair("", InputFormat::csv), std::pair("lei,nace\n", InputFormat::csv), std::pair("[]", InputFormat::json),
        std::pair("\n \n", InputFormat::ndjson)})
    EXPECT_EQ(refusal(text, format), "the input holds no records");
}

TEST(Format, IsThatOfTheNameOrOfTheText)
{
  EXPECT_EQ(guess_format("x.csv", "[]"), InputFormat::csv);
  EXPECT_EQ(guess_format("x.json", "a,b"), InputFormat::json);
  EXPECT_EQ(guess_format("x.jsonl", ""), InputFormat::ndjson);
  EXPECT_EQ(guess_format("-", "\xef\xbb\xbf [1"), InputFormat::json);
  EXPECT_EQ(guess_format("-", "{\n\"lei\":1\n}\n"), InputFormat::json);
  EXPECT_EQ(guess_format("-", "{\"lei\":1}\n{\"lei\":2}\n"), InputFormat::ndjson);
  EXPECT_EQ(guess_format("-", "lei,nace\n"), InputFormat::csv);
  EXPECT_EQ(guess_format("-", ""), InputFormat::csv);
}

RC_GTEST_PROP(Split, PartsTogetherHoldEveryRecordOnceInOrder, ())
{
  const auto fields = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', ',', '"', '\n', ' '))));
  RC_PRE(!fields.empty());
  std::string text = "lei,nace\n";
  for (const auto& field : fields)
  {
    text += '"';
    for (const char c : field)
      text.append(c == '"' ? 2 : 1, c);
    text += "\",v\n";
  }
  const PartLimits limits{*rc::gen::inRange<std::size_t>(10, 60), *rc::gen::inRange<std::uint64_t>(1, 6)};
  std::vector<std::string> read;
  for (const auto& part : split(text, InputFormat::csv, limits))
  {
    const auto batch = reconciliation::parse_csv({}, part.body);
    RC_ASSERT(batch);
    RC_ASSERT(batch->records.size() == part.records);
    for (const auto& record : batch->records)
      read.emplace_back(record.key);
  }
  RC_ASSERT(read == fields);
}
}
