#include "intake/encoding.h"
#include "intake/input_bytes.h"
#include "intake/recognise.h"
#include "intake/unpack.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

namespace concordat::intake
{
namespace
{
class InputFile : public testing::Test
{
protected:
  InputFile()
  {
    std::string pattern = (std::filesystem::temp_directory_path() / "concordat-intake-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~InputFile() override
  {
    std::filesystem::remove_all(directory_);
  }
  std::string write(std::string_view bytes)
  {
    const auto path = directory_ + "/input";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string read(std::string_view bytes)
  {
    const auto input = read_input(write(bytes));
    return input ? std::string(input->view()) : input.error().cause;
  }
  std::string directory_;
};

std::string gzip(std::string_view text)
{
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text)
{
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string utf16(std::string_view ascii, bool little, bool mark)
{
  std::string out;
  if (mark)
    out += little ? "\xff\xfe" : "\xfe\xff";
  for (const char c : ascii)
    out += little ? std::string{c, '\0'} : std::string{'\0', c};
  return out;
}

std::string decoded(std::string bytes, std::string_view name = {})
{
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  const auto text = to_utf8({owner, *owner}, name);
  return text ? std::string(text->view()) : text.error().cause;
}
}

TEST_F(InputFile, IsUnpackedByItsMagicNumber)
{
  const std::string text = "lei,nace\nA,1\n";
  EXPECT_EQ(read(text), text);
  EXPECT_EQ(read(gzip(text)), text);
  EXPECT_EQ(read(gzip(text) + gzip("B,2\n")), text + "B,2\n");
  EXPECT_EQ(read(gzip(text) + std::string(512, '\0')), text);
  EXPECT_EQ(read(zstd(text)), text);
  EXPECT_EQ(read(zstd(text) + zstd("B,2\n")), text + "B,2\n");
  EXPECT_EQ(read(""), "");
}

TEST_F(InputFile, PackedDataThatIsDamagedOrCutIsRefused)
{
  std::string text;
  for (int i = 0; i < 10000; ++i)
    text += "K" + std::to_string(i * 7919) + ",V\n";
  for (const auto& packed : {gzip(text), zstd(text)})
  {
    EXPECT_TRUE(read(packed) == text);
    EXPECT_NE(read(packed.substr(0, packed.size() / 2)).find("ends too early"), std::string::npos);
    EXPECT_NE(read(packed.substr(0, packed.size() - 1)).find("ends too early"), std::string::npos);
    auto damaged = packed;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
    const auto refused = read_input(write(damaged));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().cause.find("damaged"), std::string::npos) << refused.error().cause;
  }
  EXPECT_NE(read(gzip(gzip(text))).find("gzip file within another"), std::string::npos);
}

TEST_F(InputFile, ABombIsRefusedLongBeforeItIsUnpacked)
{
  const std::string zeros(160 << 20, '0');
  EXPECT_NE(read(gzip(zeros)).find("more than 200 times"), std::string::npos);
  EXPECT_NE(read(zstd(zeros)).find("more than 200 times"), std::string::npos);
}

TEST_F(InputFile, APipeIsReadToItsEndWhateverItsSizeSays)
{
  const auto path = directory_ + "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::string text;
  for (int i = 0; i < 100'000; ++i)
    text += "K" + std::to_string(i) + ",V\n";
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << text; });
  const auto input = read_input(path);
  writer.join();
  ASSERT_TRUE(input);
  EXPECT_TRUE(input->view() == text);
}

TEST_F(InputFile, WhatIsNoFileIsSaid)
{
  EXPECT_NE(read_input(directory_).error().cause.find("is a directory"), std::string::npos);
  EXPECT_NE(read_input(directory_ + "/nowhere").error().cause.find("nowhere"), std::string::npos);
  EXPECT_NE(read_input("/dev/zero").error().cause.find("binary data"), std::string::npos);
  EXPECT_TRUE(read_input("/dev/null"));
}

TEST(Spool, KeepsLargeInputsOutOfMemoryAndHasALimit)
{
  Spool spool(100, 10);
  ASSERT_TRUE(spool.append("0123456789"));
  ASSERT_TRUE(spool.append("abc"));
  ASSERT_TRUE(spool.append(std::string(87, 'x')));
  const auto beyond = spool.append("y");
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().cause.find("100"), std::string::npos) << beyond.error().cause;
  const auto bytes = spool.finish();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->view(), "0123456789abc" + std::string(87, 'x'));
}

TEST(Recognised, NamesWhatIsNoText)
{
  const auto what = [](std::string_view head)
  {
    const auto found = recognise(head);
    return found ? found->what : "";
  };
  EXPECT_EQ(what("PK\x03\x04......[Content_Types].xml....xl/workbook.xml"), "an Excel workbook (xlsx)");
  EXPECT_EQ(
      what("PK\x03\x04......mimetypeapplication/vnd.oasis.opendocument.spreadsheet"),
      "a LibreOffice spreadsheet (ods)");
  EXPECT_EQ(what("PK\x03\x04......data.csv"), "a zip archive");
  EXPECT_NE(what("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").find("xls"), std::string::npos);
  EXPECT_EQ(what("%PDF-1.7"), "a PDF document");
  EXPECT_EQ(what("PAR1...."), "a Parquet file");
  EXPECT_EQ(what("\xef\xbb\xbf\n <!DOCTYPE html><p>"), "an HTML page, not records");
  EXPECT_EQ(what("<table><tr>"), "an HTML page, not records");
  EXPECT_EQ(what("<?xml version=\"1.0\"?><a/>"), "an XML document");
  EXPECT_EQ(what("-----BEGIN PRIVATE KEY-----"), "a PEM file, a key or certificate");
  EXPECT_EQ(what(std::string(100, '\0')), "binary data, not text");
  for (const auto* text : {"lei,nace\nA,1\n", "[{\"lei\":1}]", "", "l", "lei;nace\n\x1a"})
    EXPECT_EQ(what(text), "") << text;
}

TEST(Encodings, AreFoundOutByMarkOrByZeroBytes)
{
  const std::string text = "lei,nace\r\n984500,K.64\r\n";
  for (const bool little : {true, false})
    for (const bool mark : {true, false})
      EXPECT_EQ(decoded(utf16(text, little, mark)), text) << little << mark;
  EXPECT_EQ(decoded("\xef\xbb\xbf" + text), text);
  EXPECT_EQ(decoded(text + "\x1a"), text);
  EXPECT_EQ(decoded(text + "\x1a\r\n"), text);
  EXPECT_EQ(decoded("\xff\xfe\x3c\xd8\xe6\xdf"), "\xf0\x9f\x8f\xa6");
}

TEST(Encodings, SayWhereTextIsNotWhatItShouldBe)
{
  EXPECT_EQ(
      decoded("lei,nace\nA,Z\xfcrich\n"),
      "line 2, byte 4 of the input: this is not UTF-8; in Windows-1252 (Latin-1) it would be \xc3\xbc");
  EXPECT_EQ(decoded("A,Z\xfcrich \x80\n", "windows-1252"), "A,Z\xc3\xbcrich \xe2\x82\xac\n");
  EXPECT_NE(
      decoded(std::string(
                  "\xff\xfe"
                  "A\0\n\0\0\xdc",
                  8))
          .find("line 2, byte 7"),
      std::string::npos);
  EXPECT_NE(
      decoded(std::string(
                  "\xff\xfe"
                  "A\0B",
                  5))
          .find("ends within a character"),
      std::string::npos);
  EXPECT_NE(decoded("A", "ebcdic").find("not known"), std::string::npos);
}
}
