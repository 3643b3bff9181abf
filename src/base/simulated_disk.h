#pragma once

#include "base/simulated_files.h"

#include <array>
#include <map>
#include <optional>
#include <random>

namespace concordat::base
{
/// A change of a file that may still be lost.
struct ContentChange
{
  enum class Fate
  {
    unsynced,
    synced,   ///< sure, but stands after changes that are not
    forsaken, ///< its sync failed: the page counts as clean, and no later sync writes it
  };

  std::uint64_t offset = 0;              ///< the new size, of a truncate
  std::optional<std::string> bytes = {}; ///< nothing for a truncate
  Fate fate = Fate::unsynced;

  void apply(std::string& content) const;
};

struct SimulatedInode
{
  std::string content; ///< what a running program sees
  std::string durable; ///< what is sure to be on the disk, before `changes`
  std::vector<ContentChange> changes;

  void change(ContentChange made);
  void sync();
  /// What a failed sync leaves: the changes may be on the disk or not, and nobody will write them again.
  void forsake();
};

/// Names and what they stand for; a directory has no inode here.
using Names = std::map<Path, std::shared_ptr<SimulatedInode>>;

struct NameChange
{
  enum class Kind
  {
    make,
    rename,
    remove,
  };

  Kind kind;
  Path path;
  Path to = {};                                    ///< of a rename
  std::shared_ptr<SimulatedInode> inode = nullptr; ///< of a new file; null for a new directory

  bool touches(const Path& directory) const;
  void apply(Names& names) const;
};

/// The state of a SimulatedFileSystem, shared with its open files. Used by one thread.
class SimulatedDisk
{
public:
  explicit SimulatedDisk(std::uint64_t seed) : random_(seed) {}

  Names names;                  ///< what a running program sees
  std::uint64_t generation = 0; ///< counts crashes; a file of an earlier one is dead
  std::uint64_t operations = 0;
  bool crashed = false;
  std::function<void(std::string_view, const Path&)> hook;

  std::uint64_t below(std::uint64_t bound)
  {
    return random_() % bound;
  }

  /// Counts a mutating operation. After it, `crashed` says that the power fails during this one. @pre not crashed
  void begin(std::string_view operation, const Path& path);
  void set_crash_after(std::uint64_t count);
  void fail_next(DiskFault fault, std::uint64_t after);
  /// Whether the fault strikes the operation that is being done.
  bool strikes(DiskFault fault);

  bool is_directory(const Path& path) const;
  bool exists(const Path& path) const;
  void change(NameChange made);
  void sync_names(const Path& directory);
  void crash();

private:
  void keep(std::size_t count);
  void settle(SimulatedInode& inode);
  void write_sectors(std::string& content, const ContentChange& write);

  std::mt19937_64 random_;
  Names durable_names_;
  std::vector<NameChange> pending_; ///< changes since durable_names_, in the order of the calls
  std::optional<std::uint64_t> crash_after_;
  std::array<std::optional<std::uint64_t>, 2> faults_;
};
}
