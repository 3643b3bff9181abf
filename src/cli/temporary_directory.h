#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace concordat::cli::test
{
/// A directory that is removed with everything in it.
class TemporaryDirectory
{
public:
  TemporaryDirectory()
  {
    std::string pattern = (std::filesystem::temp_directory_path() / "concordat-cli-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) != nullptr ? pattern : "";
  }
  ~TemporaryDirectory()
  {
    std::error_code ignored;
    if (!path_.empty())
      std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const
  {
    return path_;
  }

private:
  std::string path_;
};
}
