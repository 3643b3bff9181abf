#include "base/files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{
/// What the next calls to the system do; everything, as long as nothing is set.
struct Calls
{
  std::function<std::size_t(std::size_t)> takes; ///< how many bytes a write or read takes
  int interruptions = 0;                         ///< so many calls end with EINTR first
  int write_error = 0;
  int sync_error = 0;
  std::vector<std::string> made; ///< "pwrite 3 bytes", "fdatasync", "fsync directory", "rename"
};
Calls* calls = nullptr;

bool interrupted()
{
  if (!calls || calls->interruptions == 0)
    return false;
  --calls->interruptions;
  errno = EINTR;
  return true;
}

int sync(const char* name, long number, int descriptor)
{
  if (interrupted())
    return -1;
  if (calls)
  {
    struct stat status = {};
    fstat(descriptor, &status);
    calls->made.push_back(std::string(name) + (S_ISDIR(status.st_mode) ? " directory" : ""));
    if (calls->sync_error != 0)
    {
      errno = calls->sync_error;
      return -1;
    }
  }
  return static_cast<int>(syscall(number, descriptor));
}
}

// The program's own definitions come before those of the library, so that RealFileSystem calls these.
extern "C"
{
  ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset)
  {
    if (interrupted())
      return -1;
    if (calls && calls->write_error != 0)
    {
      errno = calls->write_error;
      return -1;
    }
    if (calls && calls->takes)
      size = calls->takes(size);
    if (calls)
      calls->made.push_back("pwrite " + std::to_string(size) + " bytes");
    return size == 0 ? 0 : syscall(SYS_pwrite64, descriptor, bytes, size, offset);
  }
  ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset)
  {
    if (interrupted())
      return -1;
    return syscall(SYS_pread64, descriptor, bytes, calls && calls->takes ? calls->takes(size) : size, offset);
  }
  int fdatasync(int descriptor)
  {
    return sync("fdatasync", SYS_fdatasync, descriptor);
  }
  int fsync(int descriptor)
  {
    return sync("fsync", SYS_fsync, descriptor);
  }
  int ftruncate(int descriptor, off_t size) noexcept
  {
    return interrupted() ? -1 : static_cast<int>(syscall(SYS_ftruncate, descriptor, size));
  }
  int rename(const char* from, const char* to) noexcept
  {
    if (calls)
      calls->made.emplace_back("rename");
    return static_cast<int>(syscall(SYS_rename, from, to));
  }
}

namespace concordat::base
{
namespace
{
class RealFileCalls : public testing::Test
{
protected:
  void SetUp() override
  {
    std::string pattern = testing::TempDir() + "concordat_files_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    calls = &calls_;
  }
  void TearDown() override
  {
    calls = nullptr;
    std::filesystem::remove_all(folder_);
  }
  Path at(std::string_view name) const
  {
    return join(folder_, name);
  }

  Calls calls_;
  Path folder_;
  RealFileSystem files_;
};
}

TEST_F(RealFileCalls, AWriteThatTakesAPartIsGoneOnWith)
{
  auto file = *files_.open(at("f"), OpenMode::create);
  calls_.takes = [](std::size_t size) { return std::min<std::size_t>(size, 3); };
  ASSERT_TRUE(file->write_at(0, "0123456789"));
  EXPECT_EQ(
      calls_.made, (std::vector<std::string>{"pwrite 3 bytes", "pwrite 3 bytes", "pwrite 3 bytes", "pwrite 1 bytes"}));
  EXPECT_EQ(file->read_at(0, 100), "0123456789");
}

TEST_F(RealFileCalls, AWriteThatTakesNothingIsAnErrorAndDoesNotHang)
{
  auto file = *files_.open(at("f"), OpenMode::create);
  calls_.takes = [](std::size_t) { return std::size_t{0}; };
  EXPECT_EQ(file->write_at(0, "0123456789").error().code, ErrorCode::io);
}

TEST_F(RealFileCalls, WhatASignalInterruptsIsDoneAgain)
{
  auto file = *files_.open(at("f"), OpenMode::create);
  const auto twice = [&](const auto& call)
  {
    calls_.interruptions = 2;
    const auto outcome = call();
    EXPECT_EQ(calls_.interruptions, 0);
    EXPECT_TRUE(outcome.has_value());
  };
  twice([&] { return file->write_at(0, "hello"); });
  twice([&] { return file->read_at(0, 5); });
  twice([&] { return file->truncate(4); });
  twice([&] { return file->sync(); });
  twice([&] { return files_.sync_directory(folder_); });
  EXPECT_EQ(file->read_at(0, 5), "hell");
}

TEST_F(RealFileCalls, ASyncReachesTheDiskAndItsFailureIsAnError)
{
  auto file = *files_.open(at("f"), OpenMode::create);
  ASSERT_TRUE(file->write_at(0, "x"));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(files_.sync_directory(folder_));
  EXPECT_EQ(calls_.made, (std::vector<std::string>{"pwrite 1 bytes", "fdatasync", "fsync directory"}));
  calls_.sync_error = EIO;
  EXPECT_EQ(file->sync().error().code, ErrorCode::io);
  EXPECT_EQ(files_.sync_directory(folder_).error().code, ErrorCode::io);
}

TEST_F(RealFileCalls, AFullDiskIsToldFromABrokenOne)
{
  auto file = *files_.open(at("f"), OpenMode::create);
  for (const auto& [number, code] :
       {std::pair{ENOSPC, ErrorCode::no_space},
        {EDQUOT, ErrorCode::no_space},
        {EFBIG, ErrorCode::no_space},
        {EIO, ErrorCode::io},
        {EACCES, ErrorCode::denied}})
  {
    calls_.write_error = number;
    EXPECT_EQ(file->write_at(0, "x").error().code, code) << number;
  }
}

TEST_F(RealFileCalls, AReplacementIsWholeOnTheDiskBeforeItTakesTheName)
{
  ASSERT_TRUE(files_.replace(at("f"), "old"));
  calls_.made.clear();
  ASSERT_TRUE(files_.replace(at("f"), "newer"));
  EXPECT_EQ(calls_.made, (std::vector<std::string>{"pwrite 5 bytes", "fdatasync", "rename", "fsync directory"}));
  EXPECT_EQ(files_.read(at("f")), "newer");
  EXPECT_FALSE(files_.exists(at("f.new")));

  calls_.sync_error = EIO;
  EXPECT_FALSE(files_.replace(at("f"), "newest"));
  calls_.sync_error = 0;
  EXPECT_EQ(files_.read(at("f")), "newer");
  EXPECT_TRUE(files_.replace(at("f"), "after a failure that left its file behind"));
}

TEST_F(RealFileCalls, NobodyElseMayReadWhatIsCreated)
{
  const auto mode = [](const Path& path)
  {
    struct stat status = {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  };
  ASSERT_TRUE(files_.open(at("f"), OpenMode::create));
  ASSERT_TRUE(files_.replace(at("g"), "x"));
  ASSERT_TRUE(files_.make_directory(at("a/b/c")));
  EXPECT_EQ(mode(at("f")), 0600U);
  EXPECT_EQ(mode(at("g")), 0600U);
  EXPECT_EQ(mode(at("a")), 0700U);
  EXPECT_EQ(mode(at("a/b/c")), 0700U);
}

TEST_F(RealFileCalls, OpeningSaysWhatIsWrong)
{
  EXPECT_EQ(files_.open(at("f"), OpenMode::read).error().code, ErrorCode::not_found);
  EXPECT_EQ(files_.open(at("f"), OpenMode::read_write).error().code, ErrorCode::not_found);
  ASSERT_TRUE(files_.open(at("f"), OpenMode::create));
  EXPECT_EQ(files_.open(at("f"), OpenMode::create).error().code, ErrorCode::exists);
  EXPECT_EQ(files_.sync_directory(at("f")).error().code, ErrorCode::io);
  EXPECT_EQ(files_.list(at("none")).error().code, ErrorCode::not_found);
}

TEST_F(RealFileCalls, NamesAreListedSortedAndGoneWhenRemovedOrRenamed)
{
  for (const auto* name : {"b", "c", "a"})
    ASSERT_TRUE(files_.open(at(name), OpenMode::create));
  EXPECT_EQ(files_.list(folder_), (std::vector<std::string>{"a", "b", "c"}));
  ASSERT_TRUE(files_.remove(at("b")));
  ASSERT_TRUE(files_.rename(at("c"), at("d")));
  EXPECT_EQ(files_.list(folder_), (std::vector<std::string>{"a", "d"}));
  EXPECT_EQ(files_.remove(at("b")).error().code, ErrorCode::not_found);
  EXPECT_EQ(files_.rename(at("b"), at("e")).error().code, ErrorCode::not_found);
}

TEST(Parent, IsTheDirectoryPart)
{
  EXPECT_EQ(parent("a/b"), "a");
  EXPECT_EQ(parent("/a"), "/");
  EXPECT_EQ(parent("a"), ".");
  EXPECT_EQ(join("a", "b"), "a/b");
  EXPECT_EQ(join("", "b"), "b");
}
}
