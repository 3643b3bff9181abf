#include "crypto/cbor.h"

#include "base/encoding.h"

#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck.h>

namespace concordat::crypto
{
namespace
{
std::string bytes(std::string_view hex)
{
  return base::from_hex(hex).value();
}

// RFC 8949 appendix A.
TEST(Cbor, WritesAndReadsTheIntegersOfTheStandard)
{
  const std::pair<std::int64_t, const char*> examples[] = {
      {0, "00"},
      {1, "01"},
      {10, "0a"},
      {23, "17"},
      {24, "1818"},
      {25, "1819"},
      {100, "1864"},
      {1000, "1903e8"},
      {1000000, "1a000f4240"},
      {1000000000000, "1b000000e8d4a51000"},
      {-1, "20"},
      {-10, "29"},
      {-100, "3863"},
      {-1000, "3903e7"},
  };
  for (const auto& [value, encoded] : examples)
  {
    EXPECT_EQ(base::to_hex(CborWriter().integer(value).encoded()), encoded);
    const auto raw = bytes(encoded);
    EXPECT_EQ(CborReader(raw).integer(), value);
  }
  for (const auto* encoded : {"1bffffffffffffffff", "3bffffffffffffffff"})
  {
    const auto raw = bytes(encoded);
    EXPECT_FALSE(CborReader(raw).integer()) << encoded << " does not fit into 64 bits with a sign";
    EXPECT_TRUE(CborReader(raw).item());
  }
}

TEST(Cbor, WritesAndReadsTheStringsOfTheStandard)
{
  EXPECT_EQ(base::to_hex(CborWriter().bytes(bytes("01020304")).encoded()), "4401020304");
  EXPECT_EQ(base::to_hex(CborWriter().text("IETF").encoded()), "6449455446");
  EXPECT_EQ(base::to_hex(CborWriter().text("").encoded()), "60");
  EXPECT_EQ(base::to_hex(CborWriter().array(3).integer(1).integer(2).integer(3).encoded()), "83010203");
  EXPECT_EQ(base::to_hex(CborWriter().map(2).integer(1).integer(2).integer(3).integer(4).encoded()), "a201020304");
  EXPECT_EQ(base::to_hex(CborWriter().null().encoded()), "f6");
  EXPECT_EQ(base::to_hex(CborWriter().tag(1).integer(1363896240).encoded()), "c11a514b67b0");

  const auto text = bytes("64f0908591");
  EXPECT_EQ(CborReader(text).text(), "\xf0\x90\x85\x91");
}

TEST(Cbor, ReadsBackWhatItWrote)
{
  EXPECT_TRUE(rc::check(
      [](std::int64_t number, const std::string& raw)
      {
        CborWriter writer;
        writer.array(4).integer(number).bytes(raw).null().tag(18).integer(-1);
        CborReader reader(writer.encoded());
        RC_ASSERT(reader.array().value() == 4U);
        RC_ASSERT(reader.integer().value() == number);
        RC_ASSERT(reader.bytes().value() == raw);
        RC_ASSERT(reader.null().has_value());
        RC_ASSERT(reader.tag().value() == 18U);
        RC_ASSERT(reader.integer().value() == -1);
        RC_ASSERT(reader.done());
      }));
  for (const auto number : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
  {
    CborWriter writer;
    writer.integer(number);
    EXPECT_EQ(CborReader(writer.encoded()).integer(), number);
  }
}

// Well-formed examples of RFC 8949 appendix A with definite lengths, whatever they hold.
TEST(Cbor, SkipsAnyItem)
{
  for (const auto* example :
       {"c249010000000000000000", "f93c00", "fb3ff199999999999a", "f4", "f7", "f0", "f8ff", "d818456449455446",
        "8301820203820405", "a26161016162820203", "80", "a0",
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819"})
  {
    const auto raw = bytes(example);
    CborReader reader(raw);
    EXPECT_EQ(reader.item(), raw) << example;
    EXPECT_TRUE(reader.done());
  }
}

// RFC 8949 appendix F, and the indefinite lengths that this reader does not take.
TEST(Cbor, RefusesWhatIsNotWellFormed)
{
  for (const auto* example :
       {"",
        "18",
        "19",
        "1a",
        "1b",
        "1901",
        "1a0102",
        "1b01020304050607",
        "38",
        "58",
        "78",
        "98",
        "9a01ff00",
        "b8",
        "d8",
        "f8",
        "f900",
        "fa0000",
        "fb000000",
        "41",
        "61",
        "5affffffff00",
        "5bffffffffffffffff010203",
        "7affffffff00",
        "7b7fffffffffffffff010203",
        "81",
        "818181818181818181",
        "8200",
        "a1",
        "a20102",
        "a100",
        "a2000000",
        "c0",
        "5f41ff",
        "7f61ff",
        "9f",
        "9f0102",
        "bf",
        "bf01020102",
        "ff",
        "5f",
        "1c",
        "1d",
        "1e",
        "3c",
        "5c",
        "7c",
        "9c",
        "bc",
        "dc",
        "fc",
        "fd",
        "fe",
        "f800",
        "f801",
        "f818",
        "f81f",
        "9bffffffffffffffff",
        "bb8000000000000000",
        "61ff"})
  {
    const auto raw = bytes(example);
    CborReader reader(raw);
    const auto item = reader.item();
    ASSERT_FALSE(item) << example;
    EXPECT_EQ(item.error().code, ErrorCode::corrupt);
    EXPECT_EQ(reader.done(), raw.empty()) << "a failed read moves nothing";
  }
}

TEST(Cbor, RefusesTooMuchDepth)
{
  const auto nested = [](std::size_t depth) { return std::string(depth, '\x81') + '\0'; };
  const auto deepest = nested(CborReader::depth_limit);
  EXPECT_TRUE(CborReader(deepest).item());
  const auto deeper = nested(CborReader::depth_limit + 1);
  EXPECT_FALSE(CborReader(deeper).item());
  const auto hostile = nested(1'000'000);
  EXPECT_FALSE(CborReader(hostile).item());
}

TEST(Cbor, TheWrongTypeIsAnErrorAndMovesNothing)
{
  const auto raw = bytes("01");
  CborReader reader(raw);
  EXPECT_FALSE(reader.bytes());
  EXPECT_FALSE(reader.text());
  EXPECT_FALSE(reader.array());
  EXPECT_FALSE(reader.map());
  EXPECT_FALSE(reader.tag());
  EXPECT_FALSE(reader.null());
  EXPECT_EQ(reader.peek(), CborType::positive);
  EXPECT_EQ(reader.integer(), 1);
  EXPECT_TRUE(reader.done());
}

TEST(Cbor, AnyBytesAreSafe)
{
  EXPECT_TRUE(rc::check(
      [](const std::vector<std::uint8_t>& raw)
      {
        const std::string input(raw.begin(), raw.end());
        CborReader reader(input);
        std::size_t read = 0;
        while (!reader.done())
        {
          const auto item = reader.item();
          if (!item)
            break;
          RC_ASSERT(item->size() > 0U);
          read += item->size();
        }
        RC_ASSERT(read <= input.size());
      }));
}

TEST(Utf8, RefusesWhatRfc3629Refuses)
{
  for (const auto* good : {"", "7f", "c280", "dfbf", "e0a080", "ed9fbf", "ee8080", "efbfbf", "f0908080", "f48fbfbf"})
    EXPECT_TRUE(is_utf8(bytes(good))) << good;
  for (const auto* bad :
       {"80", "bf", "c0af", "c1bf", "c2", "e08080", "e09fbf", "eda080", "edbfbf", "f0808080", "f08fbfbf", "f4908080",
        "f5808080", "ff", "e28228", "e282", "f09f98", "c22f"})
    EXPECT_FALSE(is_utf8(bytes(bad))) << bad;
}
}
}
