#include "base/encoding.h"

#include <gtest/gtest.h>

namespace concordat::base
{
// RFC 4648 §10
TEST(Base64, GivesTheVectorsOfTheStandard)
{
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors)
  {
    EXPECT_EQ(to_base64(plain), encoded);
    EXPECT_EQ(from_base64(encoded), plain);
  }
}

TEST(Base64, RefusesWhatIsNotBase64)
{
  for (const auto* text : {"Zg=", "Zg", "Z===", "====", "Zm9v\n", "Zm9*", "Zg==Zg=="})
    EXPECT_FALSE(from_base64(text)) << text;
}

TEST(Hex, GoesThereAndBack)
{
  std::string all;
  for (int i = 0; i < 256; ++i)
    all.push_back(static_cast<char>(i));
  EXPECT_EQ(from_hex(to_hex(all)), all);
  EXPECT_EQ(from_hex("0AfF"), std::string("\x0a\xff"));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Reader, NeverReadsPastTheEnd)
{
  std::string bytes;
  append_le<std::uint64_t>(bytes, 5);
  bytes += "abcd";
  Reader reader(bytes);
  EXPECT_FALSE(reader.lp());
  Reader short_reader("abc");
  EXPECT_FALSE(short_reader.le<std::uint32_t>());
  EXPECT_FALSE(short_reader.take(~std::uint64_t{0}));
  EXPECT_EQ(short_reader.take(3), "abc");
  EXPECT_TRUE(short_reader.done());
}

TEST(Reader, ReadsBothByteOrders)
{
  std::string bytes;
  append_le<std::uint32_t>(bytes, 0x01020304);
  append_be<std::uint16_t>(bytes, 0x0506);
  EXPECT_EQ(bytes, std::string("\x04\x03\x02\x01\x05\x06"));
  Reader reader(bytes);
  EXPECT_EQ(reader.le<std::uint32_t>(), 0x01020304U);
  EXPECT_EQ(reader.be<std::uint16_t>(), 0x0506);
}

TEST(TxId, ReadsOnlyTwoPositiveNumbers)
{
  EXPECT_EQ(TxId::parse("2.18"), (TxId{2, 18}));
  for (const auto* text :
       {"", "2", "2.", ".2", "0.1", "1.0", "2.1x", " 2.1", "2.-1", "+2.1", "2.1.1", "99999999999999999999.1"})
    EXPECT_FALSE(TxId::parse(text)) << text;
}

TEST(EndOfPrefix, IsTheNextStringOfThatLength)
{
  EXPECT_EQ(end_of_prefix("ab"), "ac");
  EXPECT_EQ(end_of_prefix("a\xff"), "b");
  EXPECT_FALSE(end_of_prefix("\xff\xff"));
  EXPECT_FALSE(end_of_prefix(""));
}
}
