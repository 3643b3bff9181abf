#pragma once

#include "base/files.h"
#include "base/locked_names.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace concordat::base
{
class SimulatedDisk;

/// What a disk can do to a program without losing power.
enum class DiskFault
{
  no_space,   ///< a write or create fails; of a write, some part may be done
  sync_error, ///< a sync of a file or directory fails; what was to be synced may be lost although a later sync succeeds
};

/// A disk in memory that loses what was not synced, for tests of what a crash leaves behind.
///
/// Everything random follows from the seed and the calls. Used by one thread; files may outlive it.
///
/// Of a file, only what was there at its last successful `sync` is sure to survive. Creating, renaming and removing
/// reach the disk in the order of the calls, and surely only with a `sync_directory` of a directory they touch; a
/// new directory may also be synced itself. Paths are compared as text, after "./", "//" and a trailing "/" are
/// taken out; "." and "/" always exist.
class SimulatedFileSystem : public FileSystem
{
public:
  explicit SimulatedFileSystem(std::uint64_t seed);
  ~SimulatedFileSystem() override;

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Result<std::vector<std::string>> list(const Path& directory) const override;
  bool exists(const Path& path) const override;
  Result<void> rename(const Path& from, const Path& to) override;
  Result<void> remove(const Path& path) override;
  Result<void> make_directory(const Path& path) override;
  Result<void> sync_directory(const Path& directory) override;
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const Path& directory) override;

  /// The power fails and comes back. Each write since the last sync of its file is kept, lost or torn (a prefix of
  /// it is kept, or some of its 512-byte sectors); of the directory operations that are not synced, the first few
  /// are kept. Open files fail with Error::io from then on; faults that have not struck yet are forgotten.
  void crash();
  /// Lets `operations` more mutating operations go through; then everything fails with Error::io until `crash()`.
  /// The operation at which it begins to fail may still turn out to have been done, wholly or in part.
  void set_crash_after(std::uint64_t operations);
  /// Whether the point of `set_crash_after` has been passed.
  bool crashed() const;

  /// Lets `after` more operations go through that the fault could strike, then strikes once.
  void fail_next(DiskFault fault, std::uint64_t after = 0);

  /// Called before every mutating operation (create, write, truncate, sync, rename, remove, make directory, sync
  /// directory) with its name and path. It may throw, and nothing has changed then.
  void set_hook(std::function<void(std::string_view operation, const Path& path)> hook);
  /// Mutating operations so far, so that a test can crash at each of them in turn.
  std::uint64_t operations() const;

private:
  std::shared_ptr<SimulatedDisk> disk_;
  LockedNames locks_;
};
}
