#include "base/files.h"
#include "base/simulated_files.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <spawn.h>
#include <sys/wait.h>

namespace concordat::base
{
namespace
{
void expect_one_at_a_time(FileSystem& files, const Path& directory)
{
  auto first = files.lock_directory(directory);
  ASSERT_TRUE(first) << first.error().describe();
  const auto second = files.lock_directory(directory);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::exists);
  EXPECT_TRUE(files.replace(join(directory, "file"), "text")) << "only locking is kept out";
  first->reset();
  EXPECT_TRUE(files.lock_directory(directory)) << "free again";
  const auto missing = files.lock_directory(join(directory, "missing"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}
}

TEST(DirectoryLock, IsHeldByOneAtATime)
{
  std::string pattern = ::testing::TempDir() + "lock_XXXXXX";
  const Path directory = ::mkdtemp(pattern.data());
  RealFileSystem real;
  expect_one_at_a_time(real, directory);
  ASSERT_TRUE(real.remove(join(directory, "file")));
  ::rmdir(directory.c_str());

  SimulatedFileSystem simulated(1);
  ASSERT_TRUE(simulated.make_directory("ledger"));
  expect_one_at_a_time(simulated, "ledger");
}

TEST(DirectoryLock, GoesToNoChildProcess)
{
  std::string pattern = ::testing::TempDir() + "lock_XXXXXX";
  const Path directory = ::mkdtemp(pattern.data());
  RealFileSystem files;
  auto lock = files.lock_directory(directory);
  ASSERT_TRUE(lock);
  // A child that does nothing but live, until it is ended.
  std::string name = "sleep";
  std::string time = "60";
  char* const arguments[] = {name.data(), time.data(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(::posix_spawnp(&child, "sleep", nullptr, nullptr, arguments, environ), 0);
  lock->reset();
  EXPECT_TRUE(files.lock_directory(directory)) << "the child has no part in it";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::rmdir(directory.c_str());
}
}
