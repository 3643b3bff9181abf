#pragma once

#include "kv/store.h"

#include <absl/container/flat_hash_map.h>
#include <absl/hash/hash.h>
#include <absl/strings/string_view.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace concordat::kv
{
/// Seeded, as keys come from outside; and takes views, which Debian's abseil does not do for those of the library.
struct BytesHash
{
  using is_transparent = void;
  std::size_t operator()(std::string_view bytes) const
  {
    return absl::Hash<absl::string_view>()(absl::string_view(bytes.data(), bytes.size()));
  }
};
template <typename Value> using BytesMap = absl::flat_hash_map<std::string, Value, BytesHash, std::equal_to<>>;

/// A part of a map that a scan has gone over.
struct ScannedRange
{
  std::string from;
  std::optional<std::string> to; ///< where the scan was to end
  std::string reached;           ///< the last key returned
  bool started = false;
  bool finished = false;    ///< the end was seen
  std::uint64_t passed = 0; ///< entries that were gone over
};

/// What a transaction has to do with one map.
struct MapAccess
{
  const Tree* base = nullptr; ///< null if the map did not exist
  Rights rights;
  BytesMap<Seqno> reads;                         ///< keys looked up, and the version seen; 0 for none
  std::list<ScannedRange> scans;                 ///< a list because cursors keep pointers
  BytesMap<std::unique_ptr<std::string>> pinned; ///< own values that a reader may look at
  MapWrites* writes = nullptr;                   ///< valid while the write set has `write_maps` maps
  std::size_t write_maps = 0;
};

/// What a WriteTransaction remembers.
struct WriteTransaction::Impl
{
  Impl(Snapshot snapshot, RunBy who) : base(std::move(snapshot)), runs_by(who), acts_as(who) {}

  /// Whether what it has written to a map may stand.
  bool may_have_written(std::string_view map) const;
  /// Throws AccessDenied if the map may not be touched in that way.
  MapAccess& access(std::string_view map, Access wanted);
  /// The transaction's own writes to a map; null if there are none.
  MapWrites* own(std::string_view map, MapAccess& access);
  void write(std::string_view map, std::string_view key, std::optional<std::string> value);
  /// The own write to a key: null if there is none.
  const std::optional<std::string>* own_write(std::string_view map, MapAccess& access, std::string_view key);
  /// Looks a key up in the base, and remembers it.
  std::optional<Tree::Found> read(MapAccess& access, std::string_view key);

  /// How many keys it has written, looked up and gone over.
  std::uint64_t extent() const;
  /// The name of a map in which something that was read is different in `head`; null if there is none.
  const std::string* changed_in(const State& head) const;

  Snapshot base;
  RunBy runs_by;
  RunBy acts_as;                      ///< `runs_by`, but for what the framework adds
  std::vector<std::string> of_node{}; ///< maps that the node itself has written, beside whoever runs this
  WriteSet writes;
  std::uint64_t changes = 0; ///< counts writes, so that cursors notice them
  Digest claims{};
  BytesMap<std::unique_ptr<MapAccess>> maps;
  std::string last_name; ///< transactions stay with one map for long
  MapAccess* last = nullptr;
};
}
