#include "base/simulated_files.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

namespace concordat::base
{
namespace
{
constexpr int tries = 300;

/// A new file with a durable name and `content`, which is durable too.
std::unique_ptr<File> durable_file(SimulatedFileSystem& files, const Path& path, std::string_view content)
{
  auto file = files.open(path, OpenMode::create);
  EXPECT_TRUE(file && (*file)->write_at(0, content) && (*file)->sync() && files.sync_directory(parent(path)));
  return std::move(*file);
}

/// What `path` holds after a crash, under many seeds; "-" when it is gone.
template <typename Prepare> std::set<std::string> outcomes(const Path& path, Prepare&& prepare)
{
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= tries; ++seed)
  {
    SimulatedFileSystem files(seed);
    prepare(files);
    files.crash();
    seen.insert(files.exists(path) ? *files.read(path) : "-");
  }
  return seen;
}

TEST(SimulatedFiles, WhatIsSyncedSurvivesEveryCrash)
{
  const auto seen = outcomes("f", [](auto& files) { durable_file(files, "f", "hello"); });
  EXPECT_EQ(seen, std::set<std::string>{"hello"});
}

TEST(SimulatedFiles, AFileWhoseNameIsNotSyncedMayBeGone)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = files.open("f", OpenMode::create);
        ASSERT_TRUE((*file)->write_at(0, "hello"));
        ASSERT_TRUE((*file)->sync());
      });
  EXPECT_EQ(seen, (std::set<std::string>{"-", "hello"}));
}

TEST(SimulatedFiles, AnUnsyncedWriteIsKeptLostOrTornAtAnyByte)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "");
        ASSERT_TRUE(file->write_at(0, "abc"));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"", "a", "ab", "abc"}));
}

TEST(SimulatedFiles, UnsyncedWritesAreLostIndependentlyAndHolesReadAsZeros)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "");
        ASSERT_TRUE(file->write_at(0, "a"));
        ASSERT_TRUE(file->write_at(1, "b"));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"", "a", std::string("\0b", 2), "ab"}));
}

TEST(SimulatedFiles, AnOverwriteNeverTouchesWhatLiesBeside)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "12345");
        ASSERT_TRUE(file->write_at(1, "xy"));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"12345", "1x345", "1xy45"}));
}

TEST(SimulatedFiles, AWriteMayBeTornBetweenSectorsInAnyOrder)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", std::string(1536, '.'));
        ASSERT_TRUE(file->write_at(0, std::string(512, 'a') + std::string(512, 'b') + std::string(512, 'c')));
      });
  const auto sectors = [](char a, char b, char c)
  { return std::string(512, a) + std::string(512, b) + std::string(512, c); };
  for (const auto& expected :
       {sectors('.', '.', '.'), sectors('a', '.', '.'), sectors('.', 'b', '.'), sectors('.', '.', 'c'),
        sectors('a', '.', 'c'), sectors('.', 'b', 'c'), sectors('a', 'b', 'c')})
    EXPECT_TRUE(seen.contains(expected));
}

TEST(SimulatedFiles, AnUnsyncedTruncateIsKeptOrLost)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "hello");
        ASSERT_TRUE(file->truncate(2));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"he", "hello"}));
}

TEST(SimulatedFiles, AReplacedFileIsOldOrNewButWhole)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        durable_file(files, "f", "old");
        files.set_crash_after(4);
        EXPECT_FALSE(files.replace("f", "new"));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"old", "new"}));
}

TEST(SimulatedFiles, UnsyncedDirectoryOperationsAreKeptInTheirOrder)
{
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= tries; ++seed)
  {
    SimulatedFileSystem files(seed);
    durable_file(files, "a", "");
    ASSERT_TRUE(files.rename("a", "b"));
    ASSERT_TRUE(files.open("c", OpenMode::create));
    ASSERT_TRUE(files.remove("b"));
    files.crash();
    const auto listed = files.list(".");
    ASSERT_TRUE(listed);
    std::string names;
    for (const auto& name : *listed)
      names += name;
    seen.insert(names);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b", "bc", "c"}));
}

TEST(SimulatedFiles, SyncingADirectoryKeepsWhatWasDoneInItAndBefore)
{
  std::set<std::string> later;
  for (std::uint64_t seed = 1; seed <= tries; ++seed)
  {
    SimulatedFileSystem files(seed);
    ASSERT_TRUE(files.make_directory("one/deep"));
    ASSERT_TRUE(files.make_directory("two"));
    ASSERT_TRUE(files.open("one/deep/f", OpenMode::create));
    ASSERT_TRUE(files.sync_directory("one/deep"));
    ASSERT_TRUE(files.open("two/g", OpenMode::create));
    ASSERT_TRUE(files.sync_directory("one/deep"));
    files.crash();
    EXPECT_TRUE(files.exists("one/deep/f"));
    later.insert(files.exists("two/g") ? "kept" : "lost");
  }
  EXPECT_EQ(later, (std::set<std::string>{"kept", "lost"}));
}

TEST(SimulatedFiles, OpenFilesAreDeadAfterACrashAndNewOnesSeeWhatSurvived)
{
  SimulatedFileSystem files(1);
  auto file = durable_file(files, "f", "hello");
  files.crash();
  EXPECT_EQ(file->read_at(0, 5).error().code, ErrorCode::io);
  EXPECT_EQ(file->size().error().code, ErrorCode::io);
  EXPECT_EQ(file->write_at(0, "x").error().code, ErrorCode::io);
  EXPECT_EQ(file->truncate(0).error().code, ErrorCode::io);
  EXPECT_EQ(file->sync().error().code, ErrorCode::io);
  auto again = files.open("f", OpenMode::read_write);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->read_at(1, 100), "ello");
  EXPECT_TRUE((*again)->write_at(0, "J"));
}

TEST(SimulatedFiles, EverythingFailsFromTheChosenOperationOn)
{
  SimulatedFileSystem files(1);
  auto file = durable_file(files, "f", "");
  files.set_crash_after(2);
  EXPECT_TRUE(file->write_at(0, "a"));
  EXPECT_TRUE(file->sync());
  EXPECT_FALSE(files.crashed());
  EXPECT_EQ(file->write_at(1, "b").error().code, ErrorCode::io);
  EXPECT_TRUE(files.crashed());
  EXPECT_EQ(file->read_at(0, 1).error().code, ErrorCode::io);
  EXPECT_EQ(files.open("f", OpenMode::read).error().code, ErrorCode::io);
  EXPECT_EQ(files.open("g", OpenMode::create).error().code, ErrorCode::io);
  EXPECT_EQ(files.list(".").error().code, ErrorCode::io);
  EXPECT_EQ(files.rename("f", "g").error().code, ErrorCode::io);
  EXPECT_EQ(files.remove("f").error().code, ErrorCode::io);
  EXPECT_EQ(files.make_directory("d").error().code, ErrorCode::io);
  EXPECT_EQ(files.sync_directory(".").error().code, ErrorCode::io);
  files.crash();
  EXPECT_FALSE(files.crashed());
  EXPECT_TRUE(files.read("f")->starts_with("a"));
  EXPECT_TRUE(files.make_directory("d"));
}

TEST(SimulatedFiles, TheOperationAtWhichThePowerFailsMayHaveBeenDone)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "");
        files.set_crash_after(0);
        EXPECT_FALSE(file->write_at(0, "ab"));
      });
  EXPECT_EQ(seen, (std::set<std::string>{"", "a", "ab"}));
}

TEST(SimulatedFiles, AFullDiskTakesPartOfAWrite)
{
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= tries; ++seed)
  {
    SimulatedFileSystem files(seed);
    auto file = durable_file(files, "f", "");
    files.fail_next(DiskFault::no_space, 1);
    EXPECT_TRUE(file->write_at(0, "x"));
    EXPECT_EQ(file->write_at(1, "yz").error().code, ErrorCode::no_space);
    seen.insert(*file->read_at(0, 10));
    EXPECT_TRUE(file->write_at(1, "yz")) << "it strikes once";
    EXPECT_EQ(file->read_at(0, 10), "xyz");
  }
  EXPECT_EQ(seen, (std::set<std::string>{"x", "xy"}));
}

TEST(SimulatedFiles, AFullDiskCreatesNoFile)
{
  SimulatedFileSystem files(1);
  files.fail_next(DiskFault::no_space);
  EXPECT_EQ(files.open("f", OpenMode::create).error().code, ErrorCode::no_space);
  EXPECT_FALSE(files.exists("f"));
  EXPECT_TRUE(files.open("f", OpenMode::create));
}

TEST(SimulatedFiles, WhatAFailedSyncLeftMayBeLostAlthoughALaterSyncSucceeds)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "");
        ASSERT_TRUE(file->write_at(0, "a"));
        files.fail_next(DiskFault::sync_error);
        ASSERT_EQ(file->sync().error().code, ErrorCode::io);
        ASSERT_TRUE(file->write_at(1, "b"));
        ASSERT_TRUE(file->sync());
        EXPECT_EQ(file->read_at(0, 10), "ab") << "a running program cannot see it";
      });
  EXPECT_EQ(seen, (std::set<std::string>{std::string("\0b", 2), "ab"}));
}

TEST(SimulatedFiles, RewritingWhatAFailedSyncLeftMakesItSure)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        auto file = durable_file(files, "f", "");
        ASSERT_TRUE(file->write_at(0, "a"));
        files.fail_next(DiskFault::sync_error);
        ASSERT_FALSE(file->sync());
        ASSERT_TRUE(file->write_at(0, "a"));
        ASSERT_TRUE(file->sync());
      });
  EXPECT_EQ(seen, std::set<std::string>{"a"});
}

TEST(SimulatedFiles, AFailedSyncOfADirectoryKeepsNothingSure)
{
  const auto seen = outcomes(
      "f",
      [](auto& files)
      {
        ASSERT_TRUE(files.open("f", OpenMode::create));
        files.fail_next(DiskFault::sync_error);
        ASSERT_EQ(files.sync_directory(".").error().code, ErrorCode::io);
      });
  EXPECT_EQ(seen, (std::set<std::string>{"-", ""}));
}

TEST(SimulatedFiles, TheHookSeesEveryMutationAndMayStopIt)
{
  SimulatedFileSystem files(1);
  std::vector<std::string> seen;
  files.set_hook([&](std::string_view operation, const Path& path)
                 { seen.push_back(std::string(operation) + " " + path); });
  ASSERT_TRUE(files.make_directory("d"));
  ASSERT_TRUE(files.make_directory("d"));
  auto file = files.open("./d//f", OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, "ab"));
  ASSERT_TRUE((*file)->truncate(1));
  ASSERT_TRUE((*file)->sync());
  ASSERT_TRUE(files.rename("d/f", "d/g"));
  ASSERT_TRUE(files.sync_directory("d"));
  ASSERT_TRUE(files.remove("d/g"));
  EXPECT_EQ(
      seen, (std::vector<std::string>{
                "make directory d", "create d/f", "write d/f", "truncate d/f", "sync d/f", "rename d/f",
                "sync directory d", "remove d/g"}));
  EXPECT_EQ(files.operations(), seen.size());

  files.set_hook([](std::string_view, const Path&) { throw std::runtime_error("stop"); });
  EXPECT_THROW((void)files.open("x", OpenMode::create), std::runtime_error);
  EXPECT_FALSE(files.exists("x"));
}

TEST(SimulatedFiles, TheSameSeedLeavesTheSame)
{
  const auto run = [](std::uint64_t seed)
  {
    SimulatedFileSystem files(seed);
    auto file = durable_file(files, "f", "");
    for (std::uint64_t i = 0; i < 20; ++i)
      EXPECT_TRUE(file->write_at(i * 100, std::string(100, static_cast<char>('a' + i))));
    files.crash();
    return *files.read("f");
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}
}
}
