#include "cli/whole_file.h"

#include "cli/temporary_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
constexpr std::uint64_t limit = 1 << 20;

using test::TemporaryDirectory;

class WholeFile : public testing::Test
{
protected:
  std::string at(const std::string& name) const
  {
    return directory.path() + "/" + name;
  }
  std::string content_of(const std::string& name) const
  {
    std::ifstream file(at(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Result<void> write(const std::string& name, std::string_view content)
  {
    return write_whole(at(name), content, out);
  }

  TemporaryDirectory directory;
  std::ostringstream out;
};

TEST_F(WholeFile, APipeIsWrittenToAndStaysAPipe)
{
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::string arrived;
  std::thread reader([&] { arrived = content_of("pipe"); });
  const auto written = write("pipe", "content");
  reader.join();
  EXPECT_TRUE(written);
  EXPECT_EQ(arrived, "content");
  EXPECT_TRUE(std::filesystem::is_fifo(at("pipe")));
}

TEST_F(WholeFile, APipeIsReadToItsEnd)
{
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::string sent(300'000, 'x');
  std::thread writer([&] { std::ofstream(at("pipe")) << sent; });
  const auto read = read_whole(at("pipe"), limit);
  writer.join();
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, sent);
}

TEST_F(WholeFile, AFileWithoutATruthfulSizeIsReadToItsEnd)
{
  const auto read = read_whole("/proc/self/status", limit);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_NE(read->find("Pid:"), std::string::npos);
}

TEST_F(WholeFile, ReadingStopsAtTheLimit)
{
  const auto read = read_whole("/dev/zero", limit);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::limit);
}

TEST_F(WholeFile, ADeviceIsWrittenToAndStaysADevice)
{
  ASSERT_EQ(::symlink("/dev/null", at("link").c_str()), 0);
  EXPECT_TRUE(write("link", "content"));
  EXPECT_TRUE(std::filesystem::is_symlink(at("link")));
  EXPECT_TRUE(std::filesystem::is_character_file(at("link")));
}

TEST_F(WholeFile, ALinkIsFollowedAndStays)
{
  std::ofstream(at("file")) << "old";
  ASSERT_EQ(::symlink("file", at("link").c_str()), 0);
  ASSERT_EQ(::symlink("link", at("link_to_link").c_str()), 0);
  EXPECT_TRUE(write("link_to_link", "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(at("link_to_link")));
  EXPECT_TRUE(std::filesystem::is_symlink(at("link")));
  EXPECT_EQ(content_of("file"), "new");
}

TEST_F(WholeFile, AFileThatALinkNamesIsMade)
{
  ASSERT_TRUE(std::filesystem::create_directory(at("inner")));
  ASSERT_EQ(::symlink("inner/file", at("link").c_str()), 0);
  EXPECT_TRUE(write("link", "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(at("link")));
  EXPECT_EQ(content_of("inner/file"), "new");
}

TEST_F(WholeFile, WhatSomebodyHasOpenIsAppendedTo)
{
  std::ofstream open(at("file"));
  open << "before " << std::flush;
  const int descriptor = ::open(at("file").c_str(), O_WRONLY);
  ASSERT_GE(descriptor, 0);
  EXPECT_TRUE(write_whole("/proc/self/fd/" + std::to_string(descriptor), "after", out));
  ::close(descriptor);
  EXPECT_EQ(content_of("file"), "before after");
}

TEST_F(WholeFile, ADirectoryIsRefused)
{
  const auto written = write_whole(directory.path(), "content", out);
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("directory"), std::string::npos) << written.error().message;
  const auto read = read_whole(directory.path(), limit);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("directory"), std::string::npos) << read.error().message;
}

TEST_F(WholeFile, AHyphenIsStandardOutput)
{
  EXPECT_TRUE(write_whole("-", "content", out));
  EXPECT_EQ(out.str(), "content");
}
}
}
