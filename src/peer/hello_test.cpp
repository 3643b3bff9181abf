#include "peer/hello.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

namespace concordat::peer
{
namespace
{
Hello some_hello()
{
  Hello hello;
  hello.versions = {1, 2};
  hello.lane = Lane::bulk;
  hello.service.fill(1);
  hello.from.fill(2);
  hello.to.fill(3);
  hello.binding.fill(4);
  return hello;
}

TEST(Hello, ItsBytesAreWrittenDown)
{
  const auto bytes = some_hello().encode();
  EXPECT_EQ(
      base::to_hex(bytes), "4343445450454552"
                           "8600"
                           "01"
                           "01000200"
                           "01" +
                               base::to_hex(std::string(32, 1)) + base::to_hex(std::string(32, 2)) +
                               base::to_hex(std::string(32, 3)) + base::to_hex(std::string(32, 4)));
}

TEST(Hello, IsReadAsItWasWritten)
{
  const auto read = read_hello(some_hello().encode());
  ASSERT_TRUE(read && *read);
  EXPECT_EQ(**read, some_hello());

  const Answer answer{Refusal::membership, 2, some_hello().service};
  const auto answered = read_answer(answer.encode());
  ASSERT_TRUE(answered && *answered);
  EXPECT_EQ(**answered, answer);
}

TEST(Hello, MoreIsWaitedForWhereItIsNotWhole)
{
  for (const auto& bytes : {some_hello().encode(), Answer{}.encode()})
    for (std::size_t size = 0; size < bytes.size(); ++size)
    {
      const auto hello = read_hello(bytes.substr(0, size));
      const auto answer = read_answer(bytes.substr(0, size));
      EXPECT_TRUE((hello && !*hello) || (answer && !*answer)) << size;
    }
}

TEST(Hello, WhatFollowsItIsRefused)
{
  EXPECT_FALSE(read_hello(some_hello().encode() + "x"));
  EXPECT_FALSE(read_answer(Answer{}.encode() + "x"));
}

TEST(Hello, OtherProtocolsAreRefusedAtTheirFirstByte)
{
  for (const auto* bytes : {"G", "GET / HTTP/1.1\r\n", "\x16\x03\x01", "CCDTPEEX"})
    EXPECT_FALSE(read_hello(bytes)) << bytes;
}

TEST(Hello, OneAndTheOtherAreToldApart)
{
  EXPECT_FALSE(read_hello(Answer{}.encode()));
  EXPECT_FALSE(read_answer(some_hello().encode()));
}

TEST(Hello, SizesThatAreNoneAreRefused)
{
  const std::string magic = "CCDTPEER";
  EXPECT_FALSE(read_hello(magic + std::string("\xff\xff", 2)));            // before it has come
  EXPECT_FALSE(read_hello(magic + std::string("\x00\x00", 2)));            // no type
  EXPECT_FALSE(read_hello(magic + std::string("\x02\x00\x01\x01", 4)));    // too short
  EXPECT_FALSE(read_hello(magic + std::string("\xf7\x03", 2)));            // one more than the limit
  EXPECT_TRUE(read_hello(magic + std::string("\xf6\x03", 2)).has_value()); // the limit
}

TEST(Hello, WhatLaterVersionsAddIsIgnored)
{
  auto bytes = some_hello().encode();
  bytes += "more";
  bytes[8] = static_cast<char>(bytes[8] + 4);
  const auto read = read_hello(bytes);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ(**read, some_hello());
}

TEST(Hello, FieldsThatMeanNothingAreRefused)
{
  auto lane = some_hello();
  lane.lane = static_cast<Lane>(2);
  EXPECT_FALSE(read_hello(lane.encode()));
  for (const auto& versions : {VersionRange{0, 1}, VersionRange{2, 1}, VersionRange{0, 0}})
  {
    auto hello = some_hello();
    hello.versions = versions;
    EXPECT_FALSE(read_hello(hello.encode()));
  }
  Answer answer;
  answer.refusal = Refusal::handshake; // which is never told
  EXPECT_FALSE(read_answer(answer.encode()));
}

TEST(Hello, TheNewestVersionOfBothIsSpoken)
{
  EXPECT_EQ(negotiate({1, 1}, {1, 1}), 1);
  EXPECT_EQ(negotiate({1, 1}, {1, 2}), 1);
  EXPECT_EQ(negotiate({1, 2}, {1, 1}), 1);
  EXPECT_EQ(negotiate({1, 2}, {1, 2}), 2);
  EXPECT_EQ(negotiate({1, 5}, {3, 4}), 4);
  EXPECT_EQ(negotiate({2, 3}, {1, 1}), std::nullopt);
  EXPECT_EQ(negotiate({1, 1}, {2, 3}), std::nullopt);
}
}

TEST(VersionRange, IsReadFromTextOrNotAtAll)
{
  EXPECT_EQ(*VersionRange::parse("1-1"), (VersionRange{1, 1}));
  EXPECT_EQ(*VersionRange::parse("2-65535"), (VersionRange{2, 65535}));
  for (const auto* const none :
       {"", "1", "-", "1-", "-1", "0-1", "2-1", "1-65536", "1-2 ", " 1-2", "1-2-3", "a-b", "+1-2"})
    EXPECT_FALSE(VersionRange::parse(none)) << none;
}
}
