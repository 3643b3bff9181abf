#pragma once

#include "kv/store.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::kv
{
struct MapAccess;

/// What a large transaction will have changed, made beside the head before the transaction has its place in the order,
/// so that under the store's lock remains what others changed meanwhile, and 8 bytes for each key.
///
/// Trees of the maps that it writes are copied from a copy of the head and written to, with versions left open; then
/// they follow the head, copy after copy, until little is missing. `finish` writes the versions where they belong, adds
/// what is still missing and puts the trees into the head. Nobody else sees a tree before that. For one thread.
class PreparedWrites
{
public:
  /// @param transaction  outlives this
  /// @param head         a copy of the store's, which the transaction agrees with
  PreparedWrites(const WriteTransaction& transaction, State head);

  /// Takes over what others have changed up to `head`.
  /// @return the map in which that is something that the transaction has read, if there is one; nothing here is of use
  ///         any more then
  const std::string* follow(State head);
  /// After the last `follow`: notes where the versions stand.
  void close();

  /// What has been followed up to.
  const State& followed() const
  {
    return followed_;
  }
  /// Takes time by what others have changed since `followed`.
  /// @return the map in which that is something that the transaction has read; null if there is none
  const std::string* changed_in(const State& head) const;
  /// Gives `head` what the transaction writes, as of `txid`. Under the store's lock.
  /// @pre `close` was called after the last `follow`; nothing has `changed_in(head)`
  void finish(State& head, TxId txid);

private:
  struct Range
  {
    std::string from;
    std::optional<std::string> to;
  };
  struct Reads
  {
    const std::string* map;
    const MapAccess* access;
    std::vector<Range> ranges; ///< that were scanned: in order, apart from each other

    bool has(std::string_view key) const;
  };
  struct Writes
  {
    const std::string* map;
    const MapWrites* writes;
    Tree tree; ///< followed(), and what the transaction writes
    std::vector<char*> versions;
  };

  static std::vector<Range> scanned(const MapAccess& access);
  void take_over(Writes& writes, const State& head);

  State followed_;
  std::vector<Reads> reads_;
  std::vector<Writes> writes_;
};
}
