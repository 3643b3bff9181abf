#include "cli/submission_parts.h"

#include "reconciliation/ingest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace concordat::cli
{
namespace
{
intake::Records
records_of(const std::vector<std::pair<std::string, std::string>>& pairs, intake::Format format = intake::Format::csv)
{
  intake::Records records;
  records.format = format;
  for (const auto& [key, value] : pairs)
  {
    const std::string_view kept_key = records.owned.emplace_back(key);
    const std::string_view kept_value = records.owned.emplace_back(value);
    records.records.push_back({kept_key, kept_value, records.records.size() + 1, records.records.size() + 2});
  }
  return records;
}

std::vector<Part> split(const intake::Records& records, PartLimits limits = {})
{
  Parts parts(records, {}, limits);
  std::vector<Part> all;
  while (auto part = parts.next())
    all.push_back(std::move(*part));
  return all;
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

TEST(Parts, WriteCsvWithAHeaderEach)
{
  const auto records = records_of({{"a", "1\n2"}, {"b", "\"2\""}, {"c,", "3"}});
  const auto parts = split(records, {1000, 2});
  EXPECT_EQ(bodies(parts), (Texts{"lei,nace\na,\"1\n2\"\nb,\"\"\"2\"\"\"\n", "lei,nace\n\"c,\",3\n"}));
  EXPECT_EQ(parts[1].first, 2U);
  EXPECT_EQ(parts[1].records, 1U);
}

TEST(Parts, WriteJsonForWhatWasJson)
{
  const auto parts = split(records_of({{"a\"", "1\n"}, {"b", "2"}, {"c", ""}}, intake::Format::ndjson), {1000, 2});
  EXPECT_EQ(
      bodies(parts), (Texts{R"([{"lei":"a\"","nace":"1\n"},{"lei":"b","nace":"2"}])", R"([{"lei":"c","nace":""}])"}));
}

TEST(Parts, KeepToTheSizeAndSendALargeRecordAlone)
{
  for (const auto format : {intake::Format::csv, intake::Format::json})
  {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int i = 0; i < 50; ++i)
      pairs.emplace_back(std::string(i == 20 ? 200 : 10, 'k'), "v");
    const auto records = records_of(pairs, format);
    const auto parts = split(records, {100, 1000});
    std::size_t count = 0;
    for (const auto& part : parts)
    {
      EXPECT_TRUE(part.body.size() <= 100 || part.body.find(std::string(200, 'k')) != std::string::npos) << part.body;
      EXPECT_TRUE(part.body.size() <= 100 || part.records == 1) << part.body;
      EXPECT_EQ(part.first, count);
      count += part.records;
    }
    EXPECT_EQ(count, 50U);
    // Of the short ones fit six into a part of CSV, three into one of JSON; the long one stands behind twenty.
    EXPECT_EQ(parts.size(), format == intake::Format::csv ? 4U + 1 + 5 : 7U + 1 + 10);
  }
}

TEST(Parts, ADigestTellsEveryDifferenceOfRecordsApart)
{
  const std::vector<std::string> digests{
      digest_of(records_of({{"a", "bc"}})), digest_of(records_of({{"ab", "c"}})),
      digest_of(records_of({{"a", "bc"}}, intake::Format::json)), digest_of(records_of({{"a", "bc"}, {"a", "bc"}})),
      digest_of(records_of({{"a", "b"}, {"c", ""}}))};
  for (std::size_t i = 0; i < digests.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(digests[i], digests[j]) << i << " " << j;
  EXPECT_EQ(digests[0], digest_of(records_of({{"a", "bc"}})));
}

RC_GTEST_PROP(Parts, TogetherHoldEveryRecordOnceInOrder, ())
{
  const auto keys = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', ',', '"', '\n', ' ', '\r'))));
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& key : keys)
    pairs.emplace_back(key, "v");
  const PartLimits limits{*rc::gen::inRange<std::size_t>(10, 60), *rc::gen::inRange<std::uint64_t>(1, 6)};
  for (const auto format : {intake::Format::csv, intake::Format::json})
  {
    std::vector<std::string> read;
    const auto records = records_of(pairs, format);
    for (const auto& part : split(records, limits))
    {
      const auto batch = format == intake::Format::csv ? reconciliation::parse_csv({}, part.body)
                                                       : reconciliation::parse_json({}, part.body);
      RC_ASSERT(batch);
      RC_ASSERT(batch->records.size() == part.records);
      for (const auto& record : batch->records)
        read.emplace_back(record.key);
    }
    RC_ASSERT(read == keys);
  }
}
}
