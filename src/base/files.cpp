#include "base/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace concordat::base
{
namespace
{
std::unexpected<Error> failed(const char* what, const Path& path, int number)
{
  const auto code = number == ENOENT                                        ? ErrorCode::not_found
                  : number == EEXIST                                        ? ErrorCode::exists
                  : number == ENOSPC || number == EDQUOT || number == EFBIG ? ErrorCode::no_space
                  : number == EACCES || number == EPERM                     ? ErrorCode::denied
                                                                            : ErrorCode::io;
  return fail(code, std::string(what) + " '" + path + "': " + std::strerror(number));
}

std::string kind_of(mode_t mode)
{
  return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/// What a signal interrupted is done again: nothing of it has happened.
template <typename Call> auto retried(const Call& call)
{
  for (;;)
    if (const auto outcome = call(); outcome >= 0 || errno != EINTR)
      return outcome;
}

class RealFile : public File
{
public:
  RealFile(int descriptor, Path path) : descriptor_(descriptor), path_(std::move(path)) {}
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;
  ~RealFile() override
  {
    ::close(descriptor_);
  }

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override
  {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size)
    {
      const auto count = retried(
          [&] { return ::pread(descriptor_, bytes.data() + done, size - done, static_cast<off_t>(offset + done)); });
      if (count < 0)
        return failed("cannot read", path_, errno);
      if (count == 0)
        break;
      done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override
  {
    while (!bytes.empty())
    {
      const auto count =
          retried([&] { return ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      // Trying for ever where nothing is taken would hang whoever waits for this write.
      if (count <= 0)
        return failed("cannot write", path_, count < 0 ? errno : EIO);
      offset += static_cast<std::uint64_t>(count);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size) override
  {
    if (retried([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0)
      return failed("cannot truncate", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() const override
  {
    struct stat status = {};
    if (::fstat(descriptor_, &status) != 0)
      return failed("cannot get the size of", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> sync() override
  {
    if (retried([&] { return ::fdatasync(descriptor_); }) != 0)
      return failed("cannot sync", path_, errno);
    return {};
  }

private:
  int descriptor_;
  Path path_;
};

/// Where a path leads in the end; the file that a link names need not exist yet.
Result<Path> followed(const Path& path)
{
  constexpr int most_links = 40; // as the kernel's
  std::filesystem::path at(path);
  for (int links = 0; links < most_links; ++links)
  {
    std::error_code error;
    if (!std::filesystem::is_symlink(std::filesystem::symlink_status(at, error)))
      return at.string();
    const auto target = std::filesystem::read_symlink(at, error);
    if (error)
      return failed("cannot follow the link", at.string(), error.value());
    at = target.is_absolute() ? target : at.parent_path() / target;
  }
  return failed("cannot follow the link", path, ELOOP);
}

/// The lock is of the open descriptor: closing it gives it back.
class RealDirectoryLock : public DirectoryLock
{
public:
  explicit RealDirectoryLock(int descriptor) : descriptor_(descriptor) {}
  RealDirectoryLock(const RealDirectoryLock&) = delete;
  RealDirectoryLock& operator=(const RealDirectoryLock&) = delete;
  ~RealDirectoryLock() override
  {
    ::close(descriptor_);
  }

private:
  int descriptor_;
};
}

Result<std::string> FileSystem::read(const Path& path, std::uint64_t limit)
{
  auto file = open(path, OpenMode::read);
  if (!file)
    return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size)
    return std::unexpected(size.error());
  if (*size > limit)
    return fail(ErrorCode::limit, "'" + path + "' is larger than " + std::to_string(limit) + " bytes");
  return (*file)->read_at(0, static_cast<std::size_t>(*size));
}

Result<void> FileSystem::replace(const Path& path, std::string_view content)
{
  const Path temporary = path + ".new";
  if (exists(temporary))
    if (auto removed = remove(temporary); !removed)
      return removed;
  {
    auto file = open(temporary, OpenMode::create);
    if (!file)
      return std::unexpected(file.error());
    if (auto written = (*file)->write_at(0, content); !written)
      return written;
    if (auto synced = (*file)->sync(); !synced)
      return synced;
  }
  if (auto renamed = rename(temporary, path); !renamed)
    return renamed;
  return sync_directory(parent(path));
}

Result<std::unique_ptr<File>> RealFileSystem::open(const Path& path, OpenMode mode)
{
  const int flags = mode == OpenMode::read       ? O_RDONLY
                  : mode == OpenMode::read_write ? O_RDWR
                                                 : O_RDWR | O_CREAT | O_EXCL;
  // A pipe would be waited for, and a terminal taken as the process's own, before anything could be said about them.
  const int descriptor = retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600); });
  if (descriptor < 0)
    return failed(mode == OpenMode::create ? "cannot create" : "cannot open", path, errno);
  auto file = std::make_unique<RealFile>(descriptor, path);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0)
    return failed("cannot get the kind of", path, errno);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::invalid, "cannot open '" + path + "': it is " + kind_of(status.st_mode) + ", not a file");
  return file;
}

Result<std::vector<std::string>> RealFileSystem::list(const Path& directory) const
{
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error)
    return failed("cannot list", directory, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

bool RealFileSystem::exists(const Path& path) const
{
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0;
}

Result<void> RealFileSystem::rename(const Path& from, const Path& to)
{
  if (::rename(from.c_str(), to.c_str()) != 0)
    return failed("cannot rename", from, errno);
  return {};
}

Result<void> RealFileSystem::remove(const Path& path)
{
  if (::unlink(path.c_str()) != 0)
    return failed("cannot remove", path, errno);
  return {};
}

Result<void> RealFileSystem::make_directory(const Path& path)
{
  if (exists(path))
    return {};
  if (const auto above = parent(path); above != path && !exists(above))
    if (auto made = make_directory(above); !made)
      return made;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return failed("cannot make the directory", path, errno);
  return {};
}

Result<void> RealFileSystem::sync_directory(const Path& directory)
{
  const int descriptor = retried([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0)
    return failed("cannot open the directory", directory, errno);
  const int outcome = retried([&] { return ::fsync(descriptor); });
  const int number = errno;
  ::close(descriptor);
  if (outcome != 0)
    return failed("cannot sync the directory", directory, number);
  return {};
}

Result<void> RealFileSystem::replace(const Path& path, std::string_view content)
{
  const auto target = followed(path);
  if (!target)
    return std::unexpected(target.error());
  struct stat status = {};
  if (::stat(target->c_str(), &status) != 0)
    return FileSystem::replace(*target, content);
  if (S_ISCHR(status.st_mode))
  {
    const int descriptor =
        retried([&] { return ::open(target->c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
    if (descriptor < 0)
      return failed("cannot open", path, errno);
    const auto count = retried([&] { return ::write(descriptor, content.data(), content.size()); });
    const int number = count < 0 ? errno : EIO;
    ::close(descriptor);
    return count == static_cast<ssize_t>(content.size()) ? Result<void>{} : failed("cannot write", path, number);
  }
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::invalid, "cannot replace '" + path + "': it is " + kind_of(status.st_mode) + ", not a file");
  if (auto replaced = FileSystem::replace(*target, content); !replaced)
    return replaced;
  // Who could read the file before still can.
  if ((status.st_mode & 0777) != 0600 && ::chmod(target->c_str(), status.st_mode & 07777) != 0)
    return failed("cannot set the mode of", path, errno);
  return {};
}

Result<std::unique_ptr<DirectoryLock>> RealFileSystem::lock_directory(const Path& directory)
{
  const int descriptor = retried([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0)
    return failed("cannot open the directory", directory, errno);
  auto lock = std::make_unique<RealDirectoryLock>(descriptor);
  if (retried([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) == 0)
    return lock;
  if (errno == EWOULDBLOCK)
    return fail(ErrorCode::exists, "another process is using the directory '" + directory + "'");
  return failed("cannot lock the directory", directory, errno);
}
}
