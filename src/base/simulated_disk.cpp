#include "base/simulated_disk.h"

#include "base/check.h"

#include <algorithm>

namespace concordat::base
{
namespace
{
constexpr std::uint64_t sector_size = 512;

void write_into(std::string& content, std::uint64_t offset, std::string_view bytes)
{
  if (bytes.empty())
    return;
  if (content.size() < offset + bytes.size())
    content.resize(offset + bytes.size(), '\0');
  content.replace(offset, bytes.size(), bytes);
}
}

void ContentChange::apply(std::string& content) const
{
  if (bytes)
    write_into(content, offset, *bytes);
  else
    content.resize(offset, '\0');
}

void SimulatedInode::change(ContentChange made)
{
  made.apply(content);
  changes.push_back(std::move(made));
}

void SimulatedInode::sync()
{
  for (auto& change : changes)
    if (change.fate == ContentChange::Fate::unsynced)
      change.fate = ContentChange::Fate::synced;
  const auto first_unsure = std::find_if(
      changes.begin(), changes.end(), [](const auto& change) { return change.fate != ContentChange::Fate::synced; });
  std::for_each(changes.begin(), first_unsure, [this](const auto& change) { change.apply(durable); });
  changes.erase(changes.begin(), first_unsure);
}

void SimulatedInode::forsake()
{
  for (auto& change : changes)
    if (change.fate == ContentChange::Fate::unsynced)
      change.fate = ContentChange::Fate::forsaken;
}

bool NameChange::touches(const Path& directory) const
{
  return directory == parent(path) || (kind == Kind::rename && directory == parent(to)) ||
         (kind == Kind::make && !inode && directory == path);
}

void NameChange::apply(Names& names) const
{
  switch (kind)
  {
  case Kind::make:
    names[path] = inode;
    break;
  case Kind::remove:
    names.erase(path);
    break;
  case Kind::rename:
    names[to] = names.at(path);
    names.erase(path);
    const Path prefix = path + "/";
    for (auto at = names.lower_bound(prefix); at != names.end() && at->first.starts_with(prefix);)
    {
      names[to + "/" + at->first.substr(prefix.size())] = at->second;
      at = names.erase(at);
    }
    break;
  }
}

void SimulatedDisk::begin(std::string_view operation, const Path& path)
{
  CHECK(!crashed, "callers refuse operations on a crashed disk");
  if (hook)
    hook(operation, path);
  ++operations;
  if (crash_after_ && (*crash_after_)-- == 0)
  {
    crash_after_.reset();
    crashed = true;
  }
}

void SimulatedDisk::set_crash_after(std::uint64_t count)
{
  crash_after_ = count;
}

void SimulatedDisk::fail_next(DiskFault fault, std::uint64_t after)
{
  faults_[static_cast<std::size_t>(fault)] = after;
}

bool SimulatedDisk::strikes(DiskFault fault)
{
  auto& left = faults_[static_cast<std::size_t>(fault)];
  if (!left || (*left)-- != 0)
    return false;
  left.reset();
  return true;
}

bool SimulatedDisk::is_directory(const Path& path) const
{
  const auto at = names.find(path);
  return path == "." || path == "/" || (at != names.end() && !at->second);
}

bool SimulatedDisk::exists(const Path& path) const
{
  return is_directory(path) || names.contains(path);
}

void SimulatedDisk::change(NameChange made)
{
  made.apply(names);
  pending_.push_back(std::move(made));
}

void SimulatedDisk::sync_names(const Path& directory)
{
  const auto last = std::find_if(
      pending_.rbegin(), pending_.rend(), [&](const NameChange& change) { return change.touches(directory); });
  keep(static_cast<std::size_t>(pending_.rend() - last));
}

void SimulatedDisk::crash()
{
  keep(below(pending_.size() + 1));
  pending_.clear();
  names = durable_names_;
  for (auto& [path, inode] : names)
    if (inode)
      settle(*inode);
  ++generation;
  crashed = false;
  crash_after_.reset();
  faults_ = {};
}

void SimulatedDisk::keep(std::size_t count)
{
  for (std::size_t i = 0; i < count; ++i)
    pending_[i].apply(durable_names_);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
}

/// Decides what is left of a file.
void SimulatedDisk::settle(SimulatedInode& inode)
{
  // That everything is kept, or nothing, is worth as many tries as the mixtures, however many writes there are.
  const auto mood = below(4);
  const bool keep_all = mood == 0;
  const bool lose_all = mood == 1;
  for (const auto& change : inode.changes)
  {
    const bool sure = change.fate == ContentChange::Fate::synced;
    const auto lot = sure || keep_all ? 0 : lose_all ? 1 : below(4);
    if (lot == 0)
      change.apply(inode.durable);
    else if (lot == 2 && change.bytes)
      write_into(
          inode.durable, change.offset, std::string_view(*change.bytes).substr(0, below(change.bytes->size() + 1)));
    else if (lot == 3 && change.bytes)
      write_sectors(inode.durable, change);
  }
  inode.changes.clear();
  inode.content = inode.durable;
}

void SimulatedDisk::write_sectors(std::string& content, const ContentChange& write)
{
  const std::string_view bytes = *write.bytes;
  for (std::uint64_t done = 0; done < bytes.size();)
  {
    const auto in_sector = (write.offset + done) % sector_size;
    const auto size = std::min<std::uint64_t>(sector_size - in_sector, bytes.size() - done);
    if (below(2) == 0)
      write_into(content, write.offset + done, bytes.substr(done, size));
    done += size;
  }
}
}
