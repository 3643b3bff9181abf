#include "base/simulated_files.h"

#include "base/simulated_disk.h"

#include <algorithm>

namespace concordat::base
{
namespace
{
constexpr std::uint64_t largest_file = std::uint64_t{1} << 32;

Path normal(const Path& path)
{
  Path out = path.starts_with('/') ? "/" : "";
  for (std::size_t begin = 0; begin <= path.size();)
  {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".")
      out += (out.empty() || out == "/" ? "" : "/") + part;
    begin = end + 1;
  }
  return out.empty() ? "." : out;
}

std::unexpected<Error> failed(ErrorCode code, const char* what, const Path& path, const char* why)
{
  return fail(code, std::string(what) + " '" + path + "': " + why);
}

std::unexpected<Error> power_lost(const char* what, const Path& path)
{
  return failed(ErrorCode::io, what, path, "the simulated machine has lost its power");
}

class OpenFile : public File
{
public:
  OpenFile(std::shared_ptr<SimulatedDisk> disk, std::shared_ptr<SimulatedInode> inode, Path path, bool writable)
      : disk_(std::move(disk)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        generation_(disk_->generation)
  {
  }

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override
  {
    if (!alive())
      return power_lost("cannot read", path_);
    if (offset >= inode_->content.size())
      return std::string();
    return inode_->content.substr(offset, size);
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override
  {
    if (!alive())
      return power_lost("cannot write", path_);
    if (bytes.empty())
      return {};
    if (!writable_)
      return failed(ErrorCode::io, "cannot write", path_, "it is open for reading only");
    if (offset > largest_file || bytes.size() > largest_file - offset)
      return failed(ErrorCode::no_space, "cannot write", path_, "the file would be too large");
    disk_->begin("write", path_);
    const bool full = disk_->strikes(DiskFault::no_space);
    const auto done = full ? bytes.substr(0, disk_->below(bytes.size())) : bytes;
    inode_->change({offset, std::string(done)});
    if (disk_->crashed)
      return power_lost("cannot write", path_);
    if (full)
      return failed(ErrorCode::no_space, "cannot write", path_, "no space left on the simulated disk");
    return {};
  }

  Result<void> truncate(std::uint64_t size) override
  {
    if (!alive())
      return power_lost("cannot truncate", path_);
    if (!writable_)
      return failed(ErrorCode::io, "cannot truncate", path_, "it is open for reading only");
    if (size > largest_file)
      return failed(ErrorCode::no_space, "cannot truncate", path_, "the file would be too large");
    disk_->begin("truncate", path_);
    inode_->change({size});
    if (disk_->crashed)
      return power_lost("cannot truncate", path_);
    return {};
  }

  Result<std::uint64_t> size() const override
  {
    if (!alive())
      return power_lost("cannot get the size of", path_);
    return inode_->content.size();
  }

  Result<void> sync() override
  {
    if (!alive())
      return power_lost("cannot sync", path_);
    disk_->begin("sync", path_);
    if (disk_->crashed)
      return power_lost("cannot sync", path_);
    if (disk_->strikes(DiskFault::sync_error))
    {
      inode_->forsake();
      return failed(ErrorCode::io, "cannot sync", path_, "the simulated disk failed");
    }
    inode_->sync();
    return {};
  }

private:
  bool alive() const
  {
    return generation_ == disk_->generation && !disk_->crashed;
  }

  std::shared_ptr<SimulatedDisk> disk_;
  std::shared_ptr<SimulatedInode> inode_;
  Path path_;
  bool writable_;
  std::uint64_t generation_;
};
}

SimulatedFileSystem::SimulatedFileSystem(std::uint64_t seed) : disk_(std::make_shared<SimulatedDisk>(seed)) {}

SimulatedFileSystem::~SimulatedFileSystem() = default;

Result<std::unique_ptr<File>> SimulatedFileSystem::open(const Path& given, OpenMode mode)
{
  const auto path = normal(given);
  if (disk_->crashed)
    return power_lost("cannot open", given);
  if (mode == OpenMode::create)
  {
    if (disk_->exists(path))
      return failed(ErrorCode::exists, "cannot create", given, "it exists");
    if (!disk_->is_directory(parent(path)))
      return failed(ErrorCode::not_found, "cannot create", given, "its directory does not exist");
    disk_->begin("create", path);
    if (!disk_->crashed && disk_->strikes(DiskFault::no_space))
      return failed(ErrorCode::no_space, "cannot create", given, "no space left on the simulated disk");
    auto inode = std::make_shared<SimulatedInode>();
    disk_->change({NameChange::Kind::make, path, {}, inode});
    if (disk_->crashed)
      return power_lost("cannot create", given);
    return std::make_unique<OpenFile>(disk_, std::move(inode), path, true);
  }
  const auto at = disk_->names.find(path);
  if (disk_->is_directory(path))
    return failed(ErrorCode::io, "cannot open", given, "it is a directory");
  if (at == disk_->names.end())
    return failed(ErrorCode::not_found, "cannot open", given, "it does not exist");
  return std::make_unique<OpenFile>(disk_, at->second, path, mode == OpenMode::read_write);
}

Result<std::vector<std::string>> SimulatedFileSystem::list(const Path& given) const
{
  const auto directory = normal(given);
  if (disk_->crashed)
    return power_lost("cannot list", given);
  if (!disk_->is_directory(directory))
    return failed(ErrorCode::not_found, "cannot list", given, "there is no such directory");
  std::vector<std::string> found;
  for (const auto& [path, inode] : disk_->names)
    if (parent(path) == directory)
      found.push_back(path.substr(path.rfind('/') + 1));
  std::sort(found.begin(), found.end());
  return found;
}

bool SimulatedFileSystem::exists(const Path& path) const
{
  return disk_->exists(normal(path));
}

Result<void> SimulatedFileSystem::rename(const Path& given, const Path& given_to)
{
  const auto from = normal(given);
  const auto to = normal(given_to);
  if (disk_->crashed)
    return power_lost("cannot rename", given);
  if (!disk_->names.contains(from))
    return failed(ErrorCode::not_found, "cannot rename", given, "it does not exist");
  if (!disk_->is_directory(parent(to)))
    return failed(ErrorCode::not_found, "cannot rename", given, "the new directory does not exist");
  if (disk_->exists(to) && (disk_->is_directory(to) || disk_->is_directory(from)))
    return failed(ErrorCode::exists, "cannot rename", given, "a directory is not replaced");
  if (to.starts_with(from + "/"))
    return failed(ErrorCode::io, "cannot rename", given, "a directory does not go into itself");
  disk_->begin("rename", from);
  if (from != to)
    disk_->change({NameChange::Kind::rename, from, to});
  if (disk_->crashed)
    return power_lost("cannot rename", given);
  return {};
}

Result<void> SimulatedFileSystem::remove(const Path& given)
{
  const auto path = normal(given);
  if (disk_->crashed)
    return power_lost("cannot remove", given);
  if (disk_->is_directory(path))
    return failed(ErrorCode::io, "cannot remove", given, "it is a directory");
  if (!disk_->names.contains(path))
    return failed(ErrorCode::not_found, "cannot remove", given, "it does not exist");
  disk_->begin("remove", path);
  disk_->change({NameChange::Kind::remove, path});
  if (disk_->crashed)
    return power_lost("cannot remove", given);
  return {};
}

Result<void> SimulatedFileSystem::make_directory(const Path& given)
{
  const auto path = normal(given);
  if (disk_->crashed)
    return power_lost("cannot make the directory", given);
  if (disk_->is_directory(path))
    return {};
  if (disk_->exists(path))
    return failed(ErrorCode::exists, "cannot make the directory", given, "a file has that name");
  if (auto made = make_directory(parent(path)); !made)
    return made;
  disk_->begin("make directory", path);
  disk_->change({NameChange::Kind::make, path});
  if (disk_->crashed)
    return power_lost("cannot make the directory", given);
  return {};
}

Result<void> SimulatedFileSystem::sync_directory(const Path& given)
{
  const auto directory = normal(given);
  if (disk_->crashed)
    return power_lost("cannot sync the directory", given);
  if (!disk_->is_directory(directory))
    return failed(ErrorCode::not_found, "cannot open the directory", given, "there is no such directory");
  disk_->begin("sync directory", directory);
  if (disk_->crashed)
    return power_lost("cannot sync the directory", given);
  if (disk_->strikes(DiskFault::sync_error))
    return failed(ErrorCode::io, "cannot sync the directory", given, "the simulated disk failed");
  disk_->sync_names(directory);
  return {};
}

Result<std::unique_ptr<DirectoryLock>> SimulatedFileSystem::lock_directory(const Path& given)
{
  const auto directory = normal(given);
  if (!disk_->is_directory(directory))
    return failed(ErrorCode::not_found, "cannot open the directory", given, "there is no such directory");
  return locks_.lock(directory);
}

void SimulatedFileSystem::crash()
{
  disk_->crash();
}

void SimulatedFileSystem::set_crash_after(std::uint64_t operations)
{
  disk_->set_crash_after(operations);
}

bool SimulatedFileSystem::crashed() const
{
  return disk_->crashed;
}

void SimulatedFileSystem::fail_next(DiskFault fault, std::uint64_t after)
{
  disk_->fail_next(fault, after);
}

void SimulatedFileSystem::set_hook(std::function<void(std::string_view, const Path&)> hook)
{
  disk_->hook = std::move(hook);
}

std::uint64_t SimulatedFileSystem::operations() const
{
  return disk_->operations;
}
}
