#include "base/simulated_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <random>
#include <unistd.h>

namespace concordat::base
{
namespace
{
/// A directory of the machine that is gone at the end.
struct ScratchDirectory
{
  std::string path;

  ScratchDirectory()
  {
    // In memory if there is such a place: real syncs would only cost time.
    const std::filesystem::path shared_memory = "/dev/shm";
    const bool found = std::filesystem::is_directory(shared_memory);
    path = ((found ? shared_memory : std::filesystem::temp_directory_path()) / "concordat-files-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr)
      throw std::runtime_error("cannot make a scratch directory");
  }
  ~ScratchDirectory()
  {
    std::filesystem::remove_all(path);
  }
};

template <typename T> std::string told(const Result<T>& result)
{
  if (!result)
    return "error " + std::to_string(static_cast<int>(result.error().code));
  if constexpr (std::is_same_v<T, std::string>)
    return "=" + *result;
  else if constexpr (std::is_same_v<T, std::uint64_t>)
    return std::to_string(*result);
  else if constexpr (std::is_same_v<T, std::vector<std::string>>)
  {
    std::string out = "list";
    for (const auto& name : *result)
      out += " " + name;
    return out;
  }
  else
    return "done";
}

/// Does the same random things on one file system and tells what it answered.
std::vector<std::string> history(FileSystem& files, const Path& root, std::uint64_t seed)
{
  std::mt19937_64 random(seed);
  std::vector<std::string> out;
  const auto any_path = [&]
  {
    const std::string_view directories[] = {"", "d/", "d/e/"};
    const std::string_view names[] = {"a", "b", "c"};
    return root + "/" + std::string(directories[random() % 3]) + std::string(names[random() % 3]);
  };
  const auto any_directory = [&]
  {
    const std::string_view directories[] = {"", "/d", "/d/e"};
    return root + std::string(directories[random() % 3]);
  };
  std::vector<std::unique_ptr<File>> open;
  for (int step = 0; step < 300; ++step)
  {
    const auto what = random() % 12;
    switch (what)
    {
    case 0:
    case 1:
    case 2:
    {
      const auto mode = static_cast<OpenMode>(random() % 3);
      auto file = files.open(any_path(), mode);
      out.push_back(file ? "opened" : "error " + std::to_string(static_cast<int>(file.error().code)));
      if (file)
        open.push_back(std::move(*file));
      break;
    }
    case 3:
      out.push_back(told(files.list(any_directory())));
      break;
    case 4:
      out.push_back(files.exists(any_path()) ? "there" : "not there");
      break;
    case 5:
    {
      const auto from = any_path();
      out.push_back(told(files.rename(from, any_path())));
      break;
    }
    case 6:
      out.push_back(told(files.remove(any_path())));
      break;
    case 7:
      out.push_back(random() % 4 == 0 ? told(files.make_directory(any_directory())) : "nothing");
      break;
    case 8:
      out.push_back(told(files.replace(any_path(), std::string(random() % 20, 'r'))));
      break;
    default:
    {
      if (open.empty())
        break;
      auto& file = *open[random() % open.size()];
      const auto offset = random() % 50;
      switch (random() % 5)
      {
      case 0:
        out.push_back(told(file.read_at(offset, random() % 50)));
        break;
      case 1:
        out.push_back(told(file.write_at(offset, std::string(random() % 30, static_cast<char>('a' + random() % 26)))));
        break;
      case 2:
        out.push_back(told(file.size()));
        break;
      case 3:
        out.push_back(random() % 4 == 0 ? told(file.truncate(offset)) : "nothing");
        break;
      default:
        out.push_back(told(file.sync()));
      }
    }
    }
  }
  return out;
}

TEST(SimulatedFiles, BehaveAsTheDiskOfTheMachineWhileNothingFails)
{
  const auto given = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed));
  const std::uint64_t first = given == 0 ? 1 : given;
  const std::uint64_t last = given == 0 ? 40 : given;
  std::size_t done = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed)
  {
    ScratchDirectory scratch;
    RealFileSystem real;
    SimulatedFileSystem simulated(seed);
    ASSERT_TRUE(simulated.make_directory("root"));
    const auto expected = history(real, scratch.path, seed);
    const auto found = history(simulated, "root", seed);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_EQ(found[i], expected[i]) << "step " << i << " of --gtest_random_seed=" << seed;
    for (const auto& answer : expected)
      done += answer.starts_with("error") ? 0 : 1;
  }
  std::cout << "seeds " << first << " to " << last << ": " << done << " operations succeeded\n";
  EXPECT_GT(done, 50 * (last - first + 1));
}

TEST(SimulatedFiles, AReplacedFileHoldsWhatWasSaidToBeThereWhereverThePowerFails)
{
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    for (std::uint64_t crash_at = 0;; ++crash_at)
    {
      SimulatedFileSystem files(seed);
      files.set_crash_after(crash_at);
      int told_to_be_there = 0;
      for (int i = 1; i <= 4; ++i)
        if (files.replace("state", std::to_string(i)))
          told_to_be_there = i;
      const bool done = !files.crashed();
      files.crash();
      int there = 0;
      if (files.exists("state"))
        there = std::stoi(*files.read("state"));
      EXPECT_TRUE(there == told_to_be_there || (!done && there == told_to_be_there + 1))
          << "seed " << seed << ", power lost at " << crash_at << ": " << there << " after " << told_to_be_there;
      if (done)
        break;
    }
}
}
}
