#include "peer/frames.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

namespace concordat::peer
{
namespace
{
using Messages = std::vector<std::pair<std::uint16_t, std::string>>;
constexpr std::uint64_t limit = 1 << 20;

std::string random_bytes(std::mt19937_64& random, std::size_t size)
{
  std::string bytes(size, '\0');
  for (auto& byte : bytes)
    byte = static_cast<char>(random());
  return bytes;
}

std::vector<std::string> cut(std::uint16_t kind, Payload payload)
{
  Cutter cutter(kind, std::move(payload));
  std::vector<std::string> frames;
  while (!cutter.done())
    cutter.append_to(frames.emplace_back());
  return frames;
}

std::string join(const std::vector<std::string>& frames)
{
  std::string all;
  for (const auto& frame : frames)
    all += frame;
  return all;
}

Result<Messages> read(FrameReader& reader, std::string_view bytes)
{
  Messages messages;
  const auto fed = reader.feed(
      bytes, [&](std::uint16_t kind, std::string message) { messages.emplace_back(kind, std::move(message)); });
  if (!fed)
    return std::unexpected(fed.error());
  return messages;
}

Result<Messages> read(std::string_view bytes, std::uint64_t message_limit = limit)
{
  FrameReader reader(message_limit);
  return read(reader, bytes);
}

std::string frame(std::uint8_t type, const std::string& body)
{
  std::string bytes;
  base::append_le(bytes, type);
  base::append_le(bytes, static_cast<std::uint32_t>(body.size()));
  return bytes + body;
}

std::string begin(std::uint64_t size, const std::string& bytes)
{
  std::string body;
  base::append_le<std::uint16_t>(body, 9);
  base::append_le(body, size);
  return frame(1, body + bytes);
}

TEST(Frames, TheirBytesAreWrittenDown)
{
  EXPECT_EQ(base::to_hex(join(cut(0x0203, Payload("abc")))), "010d00000003020300000000000000616263");
  EXPECT_EQ(base::to_hex(alive_frame()), "0000000000");
}

TEST(Frames, NoneIsLargerThanTheLimit)
{
  for (const std::size_t size : {0UL, 1UL, 65'521UL, 65'522UL, 131'052UL, 131'053UL, 1'000'000UL})
  {
    const auto frames = cut(1, Payload(std::string(size, 'x')));
    for (const auto& one : frames)
      EXPECT_LE(one.size(), frame_limit) << size;
    EXPECT_EQ(read(join(frames)).value(), (Messages{{1, std::string(size, 'x')}})) << size;
    EXPECT_EQ(frames.size(), size <= 65'521 ? 1U : (size - 65'521 + 65'530) / 65'531 + 1) << size;
  }
}

TEST(Frames, PiecesOfAMessageArriveAsOne)
{
  const auto owner = std::make_shared<const std::string>("the quick brown fox");
  const std::string_view all = *owner;
  const Payload payload(owner, {all.substr(0, 4), {}, all.substr(4, 6), all.substr(10), {}});
  EXPECT_EQ(payload.size(), owner->size());
  EXPECT_EQ(read(join(cut(2, payload))).value(), (Messages{{2, *owner}}));
}

TEST(Frames, PortionsDoNotMatter)
{
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round)
  {
    Messages sent;
    std::string bytes;
    for (int i = 0; i < 5; ++i)
    {
      const auto kind = static_cast<std::uint16_t>(random());
      sent.emplace_back(kind, random_bytes(random, random() % (random() % 3 == 0 ? 300'000 : 30)));
      const auto frames = cut(kind, Payload(sent.back().second));
      for (const auto& one : frames)
      {
        if (random() % 3 == 0)
          bytes += alive_frame();
        bytes += one;
      }
    }
    FrameReader reader(limit);
    Messages got;
    for (std::size_t at = 0; at < bytes.size();)
    {
      const auto size = 1 + random() % (random() % 4 == 0 ? 100'000 : 20);
      const auto some = read(reader, std::string_view(bytes).substr(at, size));
      ASSERT_TRUE(some) << some.error().describe();
      got.insert(got.end(), some->begin(), some->end());
      at += size;
    }
    EXPECT_TRUE(got == sent);
  }
}

TEST(Frames, AMessageAboveTheLimitIsRefusedBeforeItComes)
{
  EXPECT_EQ(read(begin(101, "x"), 100).error().code, ErrorCode::limit);
  EXPECT_EQ(read(begin(~std::uint64_t{0}, "x"), 100).error().code, ErrorCode::limit);
  EXPECT_TRUE(read(begin(100, "x"), 100));
}

TEST(Frames, AFrameAboveTheLimitIsRefusedBeforeItComes)
{
  const auto large = begin(100'000, std::string(65'522, 'x'));
  EXPECT_FALSE(read(large.substr(0, 15)));
  EXPECT_FALSE(read(std::string("\x02\xff\xff\xff\xff", 5)));
}

TEST(Frames, OneThatBringsMoreThanItsMessageHasIsRefused)
{
  EXPECT_FALSE(read(begin(3, "abcd")));
  EXPECT_FALSE(read(begin(3, "ab") + frame(2, "cd")));
  EXPECT_FALSE(read(begin(0, "a")));
}

TEST(Frames, OneThatBringsNothingIsRefused)
{
  EXPECT_FALSE(read(begin(3, "")));
  EXPECT_FALSE(read(begin(3, "ab") + frame(2, "")));
  EXPECT_EQ(read(begin(0, "")).value(), (Messages{{9, ""}}));
}

TEST(Frames, MessagesDoNotInterleave)
{
  EXPECT_FALSE(read(begin(3, "ab") + begin(1, "c")));
  EXPECT_FALSE(read(frame(2, "c")));
  EXPECT_FALSE(read(begin(2, "ab") + frame(2, "c")));
}

TEST(Frames, WhatHasNoMeaningIsRefused)
{
  EXPECT_FALSE(read(frame(3, "")));
  EXPECT_FALSE(read(frame(255, "x")));
  EXPECT_FALSE(read(frame(0, "x")));
  EXPECT_FALSE(read(frame(1, "short") + std::string(20, '\0')));
}
}
}
