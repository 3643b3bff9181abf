#include "kv/write_set.h"

#include "base/encoding.h"
#include "kv/test_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace concordat::kv
{
namespace
{
using Strings = std::vector<std::string>;

/// One map in the form of ledger-format.md §4.3, field by field, so that each of them can be wrong.
struct RawMap
{
  std::string name;
  std::vector<std::pair<std::string, std::string>> puts;
  Strings removes;
  std::uint64_t read_version = 0;
  std::uint64_t reads = 0;

  std::string encoded() const
  {
    std::string out;
    base::append_lp(out, name);
    base::append_le(out, read_version);
    base::append_le(out, reads);
    base::append_le<std::uint64_t>(out, puts.size());
    for (const auto& [key, value] : puts)
    {
      base::append_lp(out, key);
      base::append_lp(out, value);
    }
    base::append_le<std::uint64_t>(out, removes.size());
    for (const auto& key : removes)
      base::append_lp(out, key);
    return out;
  }
};

/// The message that decoding ends with; empty if it succeeds.
std::string failure(std::string_view bytes, Domain domain = Domain::public_maps)
{
  WriteSet writes;
  const auto done = decode(bytes, domain, writes);
  if (done)
    return "";
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  return done.error().describe();
}

testing::AssertionResult refused(const std::string& bytes, const std::string& because)
{
  const auto message = failure(bytes);
  if (message.find(because) == std::string::npos)
    return testing::AssertionFailure() << "got '" << message << "'";
  return testing::AssertionSuccess();
}

WriteSet random_write_set(TestRandom& random)
{
  WriteSet writes;
  for (auto maps = random.below(5); maps-- > 0;)
  {
    auto& map = writes[(random.chance(50) ? "public:" : "") + random.bytes(random.below(20))];
    for (auto n = 1 + random.below(20); n-- > 0;)
      map[random.bytes(random.below(30))] =
          random.chance(70) ? std::optional(random.bytes(random.below(100))) : std::nullopt;
  }
  return writes;
}
}

TEST(WriteSet, IsEncodedAsTheFormatSays)
{
  WriteSet writes;
  writes["public:b"]["k2"] = "v2";
  writes["public:b"]["k1"] = "";
  writes["public:b"]["k0"] = std::nullopt;
  writes["public:a"]["x"] = std::nullopt;
  writes["private"]["secret"] = "value";
  writes["public:untouched"];

  std::string visible;
  encode(writes, Domain::public_maps, visible);
  EXPECT_EQ(
      visible,
      (RawMap{"public:a", {}, {"x"}}.encoded() + RawMap{"public:b", {{"k1", ""}, {"k2", "v2"}}, {"k0"}}.encoded()));
  std::string hidden;
  encode(writes, Domain::private_maps, hidden);
  EXPECT_EQ(hidden, (RawMap{"private", {{"secret", "value"}}, {}}.encoded()));
}

TEST(WriteSet, GoesThereAndBack)
{
  TestRandom random;
  for (int i = 0; i < 2000; ++i)
  {
    const auto writes = random_write_set(random);
    std::string visible;
    std::string hidden;
    encode(writes, Domain::public_maps, visible);
    encode(writes, Domain::private_maps, hidden);
    WriteSet back;
    ASSERT_TRUE(decode(visible, Domain::public_maps, back));
    ASSERT_TRUE(decode(hidden, Domain::private_maps, back));
    ASSERT_EQ(back, writes);
  }
}

TEST(WriteSet, RefusesWhatTheFormatDoesNotAllow)
{
  const RawMap good{"public:m", {{"a", "1"}, {"b", "2"}}, {"c", "d"}};
  EXPECT_EQ(failure(good.encoded()), "");
  EXPECT_EQ(failure(""), "");

  EXPECT_TRUE(refused(RawMap{"public:m", {}, {}}.encoded(), "no operation"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"b", ""}, {"a", ""}}, {}}.encoded(), "not above the one before"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"a", ""}, {"a", ""}}, {}}.encoded(), "not above the one before"));
  EXPECT_TRUE(refused(RawMap{"public:m", {}, {"b", "a"}}.encoded(), "not above the one before"));
  EXPECT_TRUE(refused(RawMap{"public:m", {}, {"a", "a"}}.encoded(), "not above the one before"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"a", ""}, {"b", ""}}, {"b"}}.encoded(), "also written"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"\x7f", ""}, {"\x80", ""}, {"\x01", ""}}, {}}.encoded(), "write 2"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"a", ""}}, {}, 7}.encoded(), "holds reads"));
  EXPECT_TRUE(refused(RawMap{"public:m", {{"a", ""}}, {}, 0, 1}.encoded(), "holds reads"));
  EXPECT_TRUE(refused(RawMap{"private", {{"a", ""}}, {}}.encoded(), "does not belong into the public domain"));
  EXPECT_NE(failure(good.encoded(), Domain::private_maps).find("private domain"), std::string::npos);

  const RawMap other{"public:n", {{"a", ""}}, {}};
  EXPECT_EQ(failure(good.encoded() + other.encoded()), "");
  EXPECT_TRUE(refused(other.encoded() + good.encoded(), "not above the one before"));
  EXPECT_TRUE(refused(good.encoded() + good.encoded(), "not above the one before"));
  WriteSet twice;
  ASSERT_TRUE(decode(good.encoded(), Domain::public_maps, twice));
  const auto again = decode(good.encoded(), Domain::public_maps, twice);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("comes twice"), std::string::npos) << again.error().message;

  const auto whole = good.encoded();
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_NE(failure(whole.substr(0, size)), "") << size;
  EXPECT_NE(failure(whole + '\0'), "");
}

TEST(WriteSet, NamesAMapFromOutsideOnlyInPrintableCharacters)
{
  const auto message = failure(RawMap{"public:\n\x1b[0m" + std::string(200, 'x'), {}, {}}.encoded());
  EXPECT_NE(message.find("'public:??[0mxxx"), std::string::npos) << message;
  EXPECT_LT(message.size(), 200U);
}

TEST(WriteSet, HugeCountsAndLengthsAreRefusedWithoutMemory)
{
  const RawMap map{"public:m", {{"a", "1"}}, {"b"}};
  const auto good = map.encoded();
  // Of name, reads, writes, key, value, removals and key: where their lengths and numbers lie.
  constexpr std::size_t numbers[] = {0, 16, 24, 32, 40, 49, 58, 66};
  ASSERT_EQ(good.size(), numbers[7] + 8 + 1);
  for (std::size_t at = 0; at + 8 <= good.size(); ++at)
    for (const std::uint64_t huge : {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 32})
    {
      auto bytes = good;
      std::string field;
      base::append_le(field, huge);
      bytes.replace(at, 8, field);
      WriteSet writes;
      const auto decoded = decode(bytes, Domain::public_maps, writes);
      // Elsewhere it may fall into a text, and zeros where there were some.
      const bool is_number = std::ranges::find(numbers, at) != std::end(numbers);
      EXPECT_FALSE(is_number && decoded) << huge << " at " << at;
      std::string again;
      encode(writes, Domain::public_maps, again);
      EXPECT_TRUE(!decoded || again == bytes) << huge << " at " << at;
    }
}

TEST(WriteSet, AnyBytesAreDecodedToWhatGivesTheSameBytesOrRefused)
{
  TestRandom random;
  int decoded = 0;
  for (int i = 0; i < 10000; ++i)
  {
    std::string bytes;
    encode(random_write_set(random), Domain::public_maps, bytes);
    if (bytes.empty())
      bytes = random.bytes(random.below(200));
    for (auto changes = random.below(4); changes-- > 0;)
    {
      const auto at = random.below(bytes.size() + 1);
      switch (random.below(3))
      {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>(random.below(256)));
        break;
      default:
        if (at < bytes.size())
          bytes[at] = static_cast<char>(random.below(256));
      }
    }
    WriteSet writes;
    if (!decode(bytes, Domain::public_maps, writes))
      continue;
    ++decoded;
    std::string again;
    encode(writes, Domain::public_maps, again);
    ASSERT_EQ(again, bytes);
  }
  EXPECT_GT(decoded, 300);
}

TEST(MapNames, OfTheServiceItselfAreReserved)
{
  EXPECT_TRUE(is_reserved("ccf.other"));
  EXPECT_TRUE(is_reserved("public:ccf.other"));
  EXPECT_TRUE(is_reserved("public:ccf."));
  EXPECT_TRUE(is_reserved("ccf.gov"));
  EXPECT_FALSE(is_reserved("public:ccf.gov.members"));
  EXPECT_FALSE(is_reserved("ccf.gov.x"));
  EXPECT_FALSE(is_reserved("public:ccf.internal.tree"));
  EXPECT_FALSE(is_reserved("ccf.internal.x"));
  EXPECT_FALSE(is_reserved("ccf"));
  EXPECT_FALSE(is_reserved("public:ccfx"));
  EXPECT_FALSE(is_reserved("records"));
  EXPECT_FALSE(is_reserved("public:public:ccf.other"));
}
}
