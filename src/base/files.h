#pragma once

#include "concordat/error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::base
{
using Path = std::string;

/// An open file. Used by one thread at a time, except `read_at`, which any thread may call.
class File
{
public:
  virtual ~File() = default;
  /// Reads up to `size` bytes; fewer only at the end of the file.
  virtual Result<std::string> read_at(std::uint64_t offset, std::size_t size) const = 0;
  /// Writes all bytes, or fails (Error::no_space, Error::io) with any part of them written.
  virtual Result<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// Returns once everything written before is on the disk (fdatasync). After a failure nothing is known about it.
  virtual Result<void> sync() = 0;
};

/// A directory that this process has for itself among all that lock it, for as long as this lives.
class DirectoryLock
{
public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode
{
  read,       ///< must exist
  read_write, ///< must exist
  create,     ///< must not exist
};

/// The seam to the disk. A created, renamed or removed name is durable only after `sync_directory`.
class FileSystem
{
public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) = 0;
  /// Names (without the directory) of all files and directories inside, sorted.
  virtual Result<std::vector<std::string>> list(const Path& directory) const = 0;
  virtual bool exists(const Path& path) const = 0;
  /// Replaces `to` if it exists, atomically.
  virtual Result<void> rename(const Path& from, const Path& to) = 0;
  virtual Result<void> remove(const Path& path) = 0;
  /// Makes the directory and its parents; no error if it exists.
  virtual Result<void> make_directory(const Path& path) = 0;
  virtual Result<void> sync_directory(const Path& directory) = 0;
  /// Keeps nobody from reading or writing, only from locking. The lock ends with the process, whatever ends that, and
  /// goes to none of its children.
  /// @return Error::exists if somebody has it
  virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const Path& directory) = 0;

  /// The whole file; Error::limit if it is larger than `limit`.
  Result<std::string> read(const Path& path, std::uint64_t limit = std::uint64_t{1} << 30);
  /// Writes a file so that after a crash either the old or the new content is there, whole:
  /// a temporary file beside it, sync, rename, sync of the directory. The mode of a new file is 0600.
  virtual Result<void> replace(const Path& path, std::string_view content);
};

/// The disk of the machine. Files are created with mode 0600, directories with 0700.
/// Opens files and links to files; a pipe, device, socket or directory is Error::invalid, and never waited for: names
/// in a directory are the choice of whoever owns the disk.
class RealFileSystem : public FileSystem
{
public:
  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Result<std::vector<std::string>> list(const Path& directory) const override;
  bool exists(const Path& path) const override;
  Result<void> rename(const Path& from, const Path& to) override;
  Result<void> remove(const Path& path) override;
  Result<void> make_directory(const Path& path) override;
  Result<void> sync_directory(const Path& directory) override;
  /// Follows a link, which stays, and keeps the mode of the file. What is not a regular file is never replaced: a
  /// character device is written to, anything else refused.
  Result<void> replace(const Path& path, std::string_view content) override;
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const Path& directory) override;
};

/// `directory/name`.
inline Path join(const Path& directory, std::string_view name)
{
  return directory.empty() ? Path(name) : directory + "/" + std::string(name);
}

/// The directory part of a path; "." if there is none.
inline Path parent(const Path& path)
{
  const auto slash = path.rfind('/');
  return slash == Path::npos ? Path(".") : slash == 0 ? Path("/") : path.substr(0, slash);
}
}
