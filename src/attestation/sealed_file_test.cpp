#include "attestation/sealed_file.h"

#include "base/encoding.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace concordat::attestation
{
namespace
{
constexpr std::string_view key = "0123456789abcdef0123456789abcdef";

class SealedFilesTest : public testing::Test
{
protected:
  void SetUp() override
  {
    auto pattern = (std::filesystem::temp_directory_path() / "sealed.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
  }

  void TearDown() override
  {
    std::filesystem::remove_all(directory);
  }

  base::Path path(std::string_view name = "state.sealed") const
  {
    return base::join(directory, name);
  }

  void expect_corrupt(const std::string& content, const std::string& what)
  {
    // Without the syncs of FileSystem::replace, which are most of the time of a test that writes hundreds of files.
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << content;
    ASSERT_EQ(disk.read(path()), content);
    const auto read = files.read(path(), "state");
    ASSERT_FALSE(read) << what;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt) << what;
    EXPECT_NE(read.error().message.find(path()), std::string::npos) << what;
  }

  base::Path directory;
  base::RealFileSystem disk;
  SealedFiles files{disk, key};
};

TEST_F(SealedFilesTest, GiveBackWhatWasWritten)
{
  for (const auto& text : {std::string(), std::string("x"), std::string(1, '\0'), std::string(100'000, 'y')})
  {
    ASSERT_TRUE(files.write(path(), "state", text));
    EXPECT_EQ(files.read(path(), "state"), text);
  }
}

// Made by another implementation (Python's cryptography) from docs/formats/sealed-file.md.
TEST_F(SealedFilesTest, HaveTheFormatThatIsWrittenDown)
{
  std::string sealing_key;
  for (int i = 0; i < 32; ++i)
    sealing_key.push_back(static_cast<char>(i));
  const auto content = base::from_hex("636e63647365616c01000000404142434445464748494a4b4c4d4e4f606162636465666768696a6b"
                                      "82bf25cd5c23bef9fb4c0f1d82aba440bfa2fb"
                                      "ebd7f1eb107ef7c5366abb");
  ASSERT_TRUE(disk.replace(path(), *content));
  EXPECT_EQ(SealedFiles(disk, sealing_key).read(path(), "example"), "attack at dawn");
}

TEST_F(SealedFilesTest, ShowNothingOfTheirContent)
{
  const std::string text = "a very secret sentence";
  ASSERT_TRUE(files.write(path(), "state", text));
  const auto first = disk.read(path()).value();
  EXPECT_EQ(first.size(), 56 + text.size());
  EXPECT_EQ(first.find("secret"), std::string::npos);
  ASSERT_TRUE(files.write(path(), "state", text));
  EXPECT_NE(disk.read(path()).value().substr(56), first.substr(56)) << "sealed twice alike";
}

TEST_F(SealedFilesTest, AreRefusedWithAnyBitFlipped)
{
  ASSERT_TRUE(files.write(path(), "state", "a secret"));
  const auto good = disk.read(path()).value();
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit)
    {
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      expect_corrupt(bad, "byte " + std::to_string(i));
    }
}

TEST_F(SealedFilesTest, AreRefusedCutAtAnyLengthOrContinued)
{
  ASSERT_TRUE(files.write(path(), "state", "a secret"));
  const auto good = disk.read(path()).value();
  for (std::size_t size = 0; size < good.size(); ++size)
    expect_corrupt(good.substr(0, size), "cut at " + std::to_string(size));
  expect_corrupt(good + '\0', "one byte more");
  expect_corrupt(good + good, "twice");
  expect_corrupt(std::string(good.size(), '\0'), "zeros");
}

TEST_F(SealedFilesTest, AreReadableForTheirPurposeOnly)
{
  ASSERT_TRUE(files.write(path(), "state", "a secret"));
  for (const auto* purpose : {"", "State", "state ", "stat", "identity"})
  {
    const auto read = files.read(path(), purpose);
    ASSERT_FALSE(read) << purpose;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  }
}

TEST_F(SealedFilesTest, AreReadableUnderTheirKeyOnly)
{
  ASSERT_TRUE(files.write(path(), "state", "a secret"));
  auto other_key = std::string(key);
  other_key.back() ^= 1;
  const auto read = SealedFiles(disk, other_key).read(path(), "state");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  EXPECT_EQ(SealedFiles(disk, key).read(path(), "state"), "a secret") << "after a restart";
}

TEST_F(SealedFilesTest, AMissingFileIsNotACorruptOne)
{
  const auto read = files.read(path("missing"), "state");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::not_found);
}

TEST_F(SealedFilesTest, HaveALimit)
{
  ASSERT_TRUE(files.write(path(), "state", "old"));
  const auto written = files.write(path(), "state", std::string(SealedFiles::size_limit + 1, 'x'));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::limit);
  EXPECT_EQ(files.read(path(), "state"), "old");
  {
    auto file = disk.open(path("huge"), base::OpenMode::create).value();
    ASSERT_TRUE(file->truncate(std::uint64_t{1} << 40));
  }
  const auto read = files.read(path("huge"), "state");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::corrupt);
}

TEST_F(SealedFilesTest, BelongToTheirOwnerAlone)
{
  ASSERT_TRUE(files.write(path(), "state", "a secret"));
  struct stat status = {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

/// A disk that fails before a new file takes the place of the old one.
class FullDisk : public base::RealFileSystem
{
public:
  Result<void> rename(const base::Path& from, const base::Path&) override
  {
    return fail(ErrorCode::no_space, "cannot rename '" + from + "'");
  }
};

TEST_F(SealedFilesTest, KeepTheOldContentWhenWritingFails)
{
  ASSERT_TRUE(files.write(path(), "state", "old"));
  FullDisk full;
  const auto written = SealedFiles(full, key).write(path(), "state", "new");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::no_space);
  EXPECT_EQ(files.read(path(), "state"), "old");
}
}
}
