#pragma once

#include "base/files.h"
#include "base/locked_names.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace concordat::ledger
{
/// Files in memory, for tests that need many different directories quickly. Nothing is ever lost or late.
class MemoryFileSystem : public base::FileSystem
{
public:
  void put(const base::Path& path, std::string bytes);
  const std::string& get(const base::Path& path) const;
  /// Lets `size` of a file say something else than its bytes.
  void pretend_size(const base::Path& path, std::uint64_t size);

  Result<std::unique_ptr<base::File>> open(const base::Path& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list(const base::Path& directory) const override;
  bool exists(const base::Path& path) const override;
  Result<void> rename(const base::Path& from, const base::Path& to) override;
  Result<void> remove(const base::Path& path) override;
  Result<void> make_directory(const base::Path& path) override;
  Result<void> sync_directory(const base::Path& directory) override;
  Result<std::unique_ptr<base::DirectoryLock>> lock_directory(const base::Path& directory) override
  {
    return locks_.lock(directory);
  }

  /// Number of calls that change a file, for tests on how few there are.
  std::size_t writes = 0;
  std::size_t syncs = 0;

private:
  struct Content
  {
    std::string bytes;
    std::uint64_t pretended_size = 0;
  };
  class Handle;
  std::map<base::Path, std::shared_ptr<Content>> files_;
  base::LockedNames locks_;
};
}
