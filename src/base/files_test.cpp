#include "base/files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace concordat::base
{
namespace
{
class RealFiles : public testing::Test
{
protected:
  RealFiles()
  {
    std::string name = testing::TempDir() + "files_test_XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
  }
  ~RealFiles() override
  {
    std::filesystem::remove_all(directory);
  }
  Path at(std::string_view name) const
  {
    return join(directory, name);
  }
  void expect_refused(const Path& path, const std::string& kind)
  {
    for (const auto mode : {OpenMode::read, OpenMode::read_write})
    {
      const auto opened = files.open(path, mode);
      ASSERT_FALSE(opened) << path;
      EXPECT_NE(opened.error().message.find(kind), std::string::npos) << opened.error().message;
    }
    const auto read = files.read(path);
    ASSERT_FALSE(read) << path;
    EXPECT_NE(read.error().message.find(kind), std::string::npos) << read.error().message;
  }
  void expect_not_replaced(const Path& path, const std::string& kind)
  {
    const auto replaced = files.replace(path, "content");
    ASSERT_FALSE(replaced) << path;
    EXPECT_NE(replaced.error().message.find(kind), std::string::npos) << replaced.error().message;
  }

  RealFileSystem files;
  Path directory;
};

TEST_F(RealFiles, AFileIsReadAlsoThroughALink)
{
  ASSERT_TRUE(files.replace(at("file"), "content"));
  ASSERT_EQ(::symlink("file", at("link").c_str()), 0);
  EXPECT_EQ(files.read(at("link")).value(), "content");
}

TEST_F(RealFiles, APipeIsRefusedAndNotWaitedFor)
{
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  ASSERT_EQ(::symlink("pipe", at("link").c_str()), 0);
  expect_refused(at("pipe"), "a pipe");
  expect_refused(at("link"), "a pipe");
}

TEST_F(RealFiles, ADeviceIsRefusedAlsoThroughALink)
{
  for (const auto* device : {"/dev/zero", "/dev/null"})
  {
    const auto link = at(std::string("link_to_") + (device + 5));
    ASSERT_EQ(::symlink(device, link.c_str()), 0);
    expect_refused(link, "a device");
  }
}

TEST_F(RealFiles, ALinkIsFollowedWhenItsFileIsReplacedAndStays)
{
  ASSERT_TRUE(files.replace(at("file"), "old"));
  ASSERT_EQ(::symlink("file", at("link").c_str()), 0);
  ASSERT_EQ(::symlink("missing", at("link_to_missing").c_str()), 0);
  EXPECT_TRUE(files.replace(at("link"), "new"));
  EXPECT_TRUE(files.replace(at("link_to_missing"), "made"));
  EXPECT_TRUE(std::filesystem::is_symlink(at("link")));
  EXPECT_EQ(files.read(at("file")).value(), "new");
  EXPECT_EQ(files.read(at("missing")).value(), "made");
}

TEST_F(RealFiles, LinksInACircleAreAnErrorAndNotFollowedForEver)
{
  ASSERT_EQ(::symlink("b", at("a").c_str()), 0);
  ASSERT_EQ(::symlink("a", at("b").c_str()), 0);
  expect_not_replaced(at("a"), "symbolic links");
  EXPECT_TRUE(std::filesystem::is_symlink(at("a")) && std::filesystem::is_symlink(at("b")));
}

TEST_F(RealFiles, OnlyAFileIsReplaced)
{
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  ASSERT_TRUE(files.make_directory(at("inner")));
  expect_not_replaced(at("pipe"), "it is a pipe");
  expect_not_replaced(at("inner"), "it is a directory");
  EXPECT_TRUE(std::filesystem::is_fifo(at("pipe")));
  EXPECT_TRUE(std::filesystem::is_directory(at("inner")));
}

TEST_F(RealFiles, ADeviceIsWrittenToAndStays)
{
  ASSERT_EQ(::symlink("/dev/null", at("link").c_str()), 0);
  EXPECT_TRUE(files.replace(at("link"), "content"));
  EXPECT_TRUE(std::filesystem::is_character_file(at("link")));
}

TEST_F(RealFiles, AReplacedFileKeepsItsMode)
{
  ASSERT_TRUE(files.replace(at("file"), "old"));
  ASSERT_EQ(::chmod(at("file").c_str(), 0644), 0);
  EXPECT_TRUE(files.replace(at("file"), "new"));
  EXPECT_EQ(std::filesystem::status(at("file")).permissions(), std::filesystem::perms(0644));
}

TEST_F(RealFiles, ADirectoryIsRefused)
{
  ASSERT_TRUE(files.make_directory(at("inner")));
  for (const auto mode : {OpenMode::read, OpenMode::read_write})
  {
    const auto opened = files.open(at("inner"), mode);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("directory"), std::string::npos) << opened.error().message;
  }
  EXPECT_FALSE(files.read(at("inner")));
}

TEST_F(RealFiles, ASocketIsRefused)
{
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(at("s").size(), sizeof(address.sun_path));
  at("s").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const auto opened = files.open(at("s"), OpenMode::read);
  ::close(socket);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("No such device or address"), std::string::npos) << opened.error().message;
}

TEST_F(RealFiles, AFileLargerThanTheLimitIsNotRead)
{
  ASSERT_TRUE(files.replace(at("file"), "12345"));
  EXPECT_EQ(files.read(at("file"), 5).value(), "12345");
  const auto read = files.read(at("file"), 4);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::limit);
}
}
}
