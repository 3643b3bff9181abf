#include "http/compressed_body.h"

#include "http/test_compression.h"

#include <gtest/gtest.h>

#include <string>

namespace concordat::http
{
namespace
{
using test::compress;
using Outcome = CompressedBody::Outcome;

struct Decoded
{
  Outcome outcome = Outcome::need_more;
  bool complete = false;
  std::string text;
};

Decoded decode(
    std::string_view bytes, ContentCoding coding = ContentCoding::gzip, std::size_t piece = 1 << 20,
    std::uint64_t max_size = 16 << 20)
{
  CompressedBody body(coding, max_size);
  Decoded decoded;
  while (!bytes.empty() && decoded.outcome == Outcome::need_more)
  {
    decoded.outcome = body.feed(bytes.substr(0, piece), decoded.text);
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  decoded.complete = body.complete();
  return decoded;
}

std::string varied(std::size_t size)
{
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i)
    text += std::to_string(i * 2654435761U) + ",";
  text.resize(size);
  return text;
}

TEST(CompressedBody, ComesOutAsItWentInHoweverItIsCut)
{
  const auto text = varied(300'000);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{16384}, std::size_t{1} << 20})
  {
    const auto gzip = decode(compress(text, 16), ContentCoding::gzip, piece);
    EXPECT_TRUE(gzip.complete && gzip.text == text) << piece;
    const auto zlib = decode(compress(text, 0), ContentCoding::deflate, piece);
    EXPECT_TRUE(zlib.complete && zlib.text == text) << piece;
  }
}

TEST(CompressedBody, MembersOfGzipAreJoined)
{
  const auto decoded = decode(compress("one ", 16) + compress("", 16) + compress("two", 16));
  EXPECT_TRUE(decoded.complete);
  EXPECT_EQ(decoded.text, "one two");
}

TEST(CompressedBody, IsNotCompleteBeforeItsLastByte)
{
  const auto whole = compress("hello", 16);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(decode(std::string_view(whole).substr(0, size)).complete) << size;
}

TEST(CompressedBody, DamageIsSeen)
{
  auto bytes = compress(varied(10'000), 16);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
  EXPECT_EQ(decode(bytes).outcome, Outcome::malformed);
  auto checksum = compress("hello", 16);
  checksum[checksum.size() - 8] = static_cast<char>(checksum[checksum.size() - 8] ^ 1);
  EXPECT_EQ(decode(checksum).outcome, Outcome::malformed);
  EXPECT_EQ(decode(compress("one", 16) + "rubbish").outcome, Outcome::malformed);
  EXPECT_EQ(decode(compress("one", 0) + "rubbish", ContentCoding::deflate).outcome, Outcome::malformed);
  EXPECT_EQ(decode(compress("one", 0)).outcome, Outcome::malformed) << "zlib is not gzip";
}

TEST(CompressedBody, SizeIsLimitedToTheByte)
{
  const auto bytes = compress(varied(10'000), 16);
  EXPECT_TRUE(decode(bytes, ContentCoding::gzip, 1 << 20, 10'000).complete);
  EXPECT_EQ(decode(bytes, ContentCoding::gzip, 1 << 20, 9'999).outcome, Outcome::too_large);
}

TEST(CompressedBody, ABombIsEndedEarly)
{
  const auto bytes = compress(std::string(std::size_t{64} << 20, 'x'), 16);
  const auto decoded = decode(bytes, ContentCoding::gzip, 4096, std::uint64_t{1} << 30);
  EXPECT_EQ(decoded.outcome, Outcome::malformed);
  EXPECT_LE(decoded.text.size(), CompressedBody::free_size);
}

TEST(CompressedBody, WhatCompressesWellIsNoBombBelowTheFreeSize)
{
  const std::string text(CompressedBody::free_size, 'x');
  EXPECT_TRUE(decode(compress(text, 16)).text == text);
}

TEST(ContentCodingOfHeader, NamesAreKnownInAnyCase)
{
  EXPECT_EQ(content_coding("GZip"), ContentCoding::gzip);
  EXPECT_EQ(content_coding("x-gzip"), ContentCoding::gzip);
  EXPECT_EQ(content_coding("deflate"), ContentCoding::deflate);
  EXPECT_EQ(content_coding("identity"), ContentCoding::none);
  EXPECT_EQ(content_coding(""), ContentCoding::none);
  for (const auto* other : {"br", "zstd", "compress", "gzip, deflate", "gzip,", "g"})
    EXPECT_EQ(content_coding(other), ContentCoding::unknown) << other;
}
}
}
