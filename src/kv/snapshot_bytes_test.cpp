#include "kv/snapshot_bytes.h"

#include "base/encoding.h"
#include "kv/test_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace concordat::kv
{
namespace
{
constexpr Seqno last = 1000;

State random_state(TestRandom& random)
{
  State state;
  for (Seqno seqno = 1; seqno <= 60; ++seqno)
  {
    WriteSet writes;
    for (auto count = random.below(20); count > 0; --count)
    {
      auto& map = writes[(random.chance(50) ? "public:map" : "map") + std::to_string(random.below(3))];
      const auto key = random.bytes(random.below(20)).substr(0, random.below(4));
      map[key] = random.chance(70) ? std::optional(random.bytes(random.below(40))) : std::nullopt;
    }
    state.apply(writes, {2, seqno});
  }
  return state;
}

std::string encoded(const State& state, Domain domain)
{
  std::string out;
  encode_snapshot(state, domain, out);
  return out;
}

std::uint64_t keys(const State& state)
{
  std::uint64_t out = 0;
  for (const auto& map : state.maps())
    out += map.name.starts_with("public:") ? map.tree.size() : 0;
  return out;
}

void expect_equal(const State& one, const State& other)
{
  ASSERT_EQ(one.maps().size(), other.maps().size());
  for (std::size_t i = 0; i < one.maps().size(); ++i)
  {
    const auto& a = one.maps()[i];
    const auto& b = other.maps()[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.tree.size(), b.tree.size());
    EXPECT_TRUE(Tree::same_range(a.tree, b.tree, ""));
    auto there = b.tree.lower_bound({});
    for (auto at = a.tree.lower_bound({}); at.valid() && there.valid(); at.next(), there.next())
      EXPECT_EQ(at.value(), there.value());
  }
}

struct Record
{
  std::string key;
  std::string value;
  Seqno version = 5;
};

/// A map field by field, so that each can be wrong. Of keys, those that are given are ordered as they must be.
struct RawMap
{
  std::string name = "public:map";
  Seqno version = 9;
  std::vector<Record> records = {};
  bool sorted = true;
  char filling = '\0';

  std::string encoded() const
  {
    auto all = records;
    if (sorted)
      std::ranges::stable_sort(
          all, {}, [](const Record& record) { return static_cast<std::uint32_t>(snapshot_hash(record.key)); });
    std::string body;
    const auto fill = [&](std::size_t size) { body.append((8 - size % 8) % 8, filling); };
    for (const auto& record : all)
    {
      base::append_lp(body, record.key);
      fill(record.key.size());
      base::append_le<std::uint64_t>(body, 8 + record.value.size());
      base::append_le(body, record.version);
      body += record.value;
      fill(record.value.size());
    }
    std::string out;
    base::append_lp(out, name);
    base::append_le(out, version);
    base::append_lp(out, body);
    return out;
  }
};

std::string failure(std::string_view bytes)
{
  State state;
  const auto done = decode_snapshot(bytes, Domain::public_maps, last, state);
  if (done)
    return "";
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  return done.error().describe();
}

testing::AssertionResult refused(const std::string& bytes, const std::string& because)
{
  const auto message = failure(bytes);
  if (message.find(because) == std::string::npos)
    return testing::AssertionFailure() << "'" << message << "' instead of '" << because << "'";
  return testing::AssertionSuccess();
}
}

TEST(SipHash, IsTheOneOfItsAuthors)
{
  // From the paper: the key 00 … 0f, and the messages 00 … up to 0e, of which the last word is not full.
  const auto of = [](int size)
  {
    std::string message;
    for (int i = 0; i < size; ++i)
      message.push_back(static_cast<char>(i));
    return siphash_2_4(0x0706050403020100, 0x0f0e0d0c0b0a0908, message);
  };
  EXPECT_EQ(of(15), 0xa129ca6149be45e5U);
  EXPECT_EQ(of(0), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(of(8), 0x93f5f5799a932462U);
}

TEST(SnapshotBytes, AStateComesBackWithItsVersionsAndEmptyMaps)
{
  TestRandom random;
  for (int i = 0; i < 50; ++i)
  {
    auto state = random_state(random);
    WriteSet emptied;
    emptied["public:empty"]["key"] = std::nullopt;
    emptied["empty"]["key"] = std::nullopt;
    state.apply(emptied, {2, 70});
    State back;
    for (const auto domain : {Domain::public_maps, Domain::private_maps})
    {
      const auto bytes = encoded(state, domain);
      const auto read = decode_snapshot(bytes, domain, last, back);
      ASSERT_TRUE(read) << read.error().describe();
    }
    expect_equal(state, back);
    EXPECT_EQ(encoded(back, Domain::private_maps), encoded(state, Domain::private_maps)) << "whoever makes it";
  }
}

TEST(SnapshotBytes, BytesThatAreCutOrChangedNeverGiveTheSameState)
{
  TestRandom random;
  const auto state = random_state(random);
  const auto bytes = encoded(state, Domain::public_maps);
  for (std::size_t size = 0; size < bytes.size(); ++size)
  {
    State cut;
    const auto read = decode_snapshot(std::string_view(bytes).substr(0, size), Domain::public_maps, last, cut);
    EXPECT_TRUE(!read || encoded(cut, Domain::public_maps) != bytes);
  }
  for (int i = 0; i < 2'000; ++i)
  {
    auto changed = bytes;
    changed[random.below(changed.size())] ^= static_cast<char>(1 + random.below(255));
    State other;
    const auto read = decode_snapshot(changed, Domain::public_maps, last, other);
    // But for a version that has become negative: a key that old releases kept after it was removed.
    EXPECT_TRUE(!read || keys(other) < keys(state) || encoded(other, Domain::public_maps) == changed)
        << "nothing is read in a way that is not written";
  }
}

TEST(SnapshotBytes, RefusesWhatTheFormatDoesNotAllow)
{
  EXPECT_EQ(failure(""), "");
  EXPECT_EQ(failure(RawMap{.records = {{"a", "1"}, {"b", ""}, {"", "3"}}}.encoded()), "");
  EXPECT_TRUE(refused("x", "a map is cut off"));
  EXPECT_TRUE(refused(RawMap{.name = "private"}.encoded(), "belongs into the other domain"));
  EXPECT_TRUE(refused(RawMap{}.encoded() + RawMap{}.encoded(), "is not above the one before"));
  EXPECT_TRUE(refused(RawMap{.version = last + 1}.encoded(), "after the snapshot was taken"));
  EXPECT_TRUE(refused(RawMap{.records = {{"a", "1", 10}}}.encoded(), "has version 10, and its map 9"));
  EXPECT_TRUE(refused(RawMap{.records = {{"a", "1", 0}}}.encoded(), "has version 0"));
  EXPECT_TRUE(refused(RawMap{.records = {{"a", "1"}, {"a", "2"}}}.encoded(), "is not where it belongs"));
  EXPECT_TRUE(refused(RawMap{.records = {{"a", "1"}}, .filling = 'x'}.encoded(), "cannot be"));
  // One of the two orders is the wrong one.
  const auto ordered = [](const char* one, const char* other)
  { return failure(RawMap{.records = {{one, "1"}, {other, "2"}}, .sorted = false}.encoded()).empty(); };
  EXPECT_NE(ordered("a", "b"), ordered("b", "a"));
}

TEST(SnapshotBytes, WhatOldReleasesKeptOfRemovedKeysIsPassedOver)
{
  State state;
  const RawMap map{.records = {{"removed", "x", std::uint64_t{0} - 7}, {"there", "y"}}};
  ASSERT_TRUE(decode_snapshot(map.encoded(), Domain::public_maps, last, state));
  EXPECT_EQ(state.find("public:map")->tree.size(), 1U);
  EXPECT_FALSE(state.find("public:map")->tree.find("removed"));
}
}
