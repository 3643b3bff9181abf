#pragma once

#include "kv/tree.h"
#include "kv/write_set.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace concordat::kv
{
/// All maps at one seqno. Immutable once shared as `Snapshot`; copying costs a few reference counts a map.
class State
{
public:
  struct Map
  {
    std::string name;
    Tree tree;
    Seqno version = 0;  ///< seqno of the last transaction that wrote or removed in it
  };

  Seqno seqno() const
  {
    return seqno_;
  }
  /// Null for a map that was never written.
  const Map* find(std::string_view name) const;
  const std::vector<Map>& maps() const
  {
    return maps_;
  }  ///< ordered by name
  /// Applies a write set as of `seqno`, which becomes the state's if it is greater.
  void apply(const WriteSet& writes, Seqno seqno);

private:
  std::vector<Map> maps_;
  Seqno seqno_ = 0;
};

using Snapshot = std::shared_ptr<const State>;

/// A transaction that reads a snapshot and remembers what it read and wrote.
/// Used by one thread at a time. Made by `Store::begin`, or directly over any snapshot.
class WriteTransaction : public Transaction
{
public:
  explicit WriteTransaction(Snapshot base);
  ~WriteTransaction() override;

  std::optional<std::string_view> get(std::string_view map, std::string_view key) override;
  std::optional<Seqno> version(std::string_view map, std::string_view key) override;
  std::unique_ptr<Cursor> scan(std::string_view map, std::string_view from, std::optional<std::string_view> to) override;
  void put(std::string_view map, std::string_view key, std::string_view value) override;
  void remove(std::string_view map, std::string_view key) override;
  void set_claims_digest(const Digest& digest) override;

  const Snapshot& base() const;
  const WriteSet& writes() const;
  const Digest& claims_digest() const;
  /// At least one map was read or written.
  bool touched() const;

private:
  friend class Store;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads one snapshot, which it keeps alive.
class SnapshotTransaction : public ReadTransaction
{
public:
  explicit SnapshotTransaction(Snapshot base) : base_(std::move(base)) {}
  std::optional<std::string_view> get(std::string_view map, std::string_view key) override;
  std::optional<Seqno> version(std::string_view map, std::string_view key) override;
  std::unique_ptr<Cursor> scan(std::string_view map, std::string_view from, std::optional<std::string_view> to) override;

  const Snapshot& base() const
  {
    return base_;
  }
  bool touched() const
  {
    return touched_;
  }

private:
  Snapshot base_;
  bool touched_ = false;
};

/// The ordered, versioned store of one node: a head that transactions commit to one after the other, the snapshot
/// that new transactions start from, and the committed snapshot that reads are served from.
///
/// Any thread may call. Optimistic: transactions run without locks on a snapshot; `commit` checks under one lock that
/// nothing they read (keys, and ranges including what is absent) has changed in the head since.
class Store
{
public:
  Store();

  /// The state that agreement has been reached on.
  Snapshot committed() const;
  /// @pre state's seqno is not below that of the one before
  void set_committed(Snapshot state);

  /// A transaction on the last snapshot taken of the head: cheap, and right as long as nobody writes what it reads.
  std::unique_ptr<WriteTransaction> begin();
  /// A transaction on the head as it is now; for running again after a conflict.
  std::unique_ptr<WriteTransaction> begin_fresh();

  /// Checks the transaction against the head, gives it the next seqno and applies its writes.
  /// @param ordered called under the lock, right after the seqno is known: reserve the place in the order here
  /// @return the seqno; Error::conflict when something it read has changed, with nothing done
  /// @pre the transaction has written something
  Result<Seqno> commit(const WriteTransaction& transaction, const std::function<void(Seqno)>& ordered);

  /// Reserves the next seqno for a write set that is not known yet, and returns the state below it. One such
  /// reservation may be open at a time; transactions may commit meanwhile.
  /// @param ordered called under the lock
  Snapshot reserve(const std::function<void(Seqno)>& ordered);
  /// Fills the reservation: applies `writes` as of `seqno` to the head, and to a copy of `below`, which is returned
  /// and which `begin` starts from now on.
  Snapshot fill(const Snapshot& below, Seqno seqno, const WriteSet& writes);

  Seqno head_seqno() const;

  /// Throws the head away and starts again from `state`, which also becomes the committed one.
  void reset(Snapshot state);

private:
  mutable std::mutex mutex_;       ///< guards head_ and start_
  State head_;
  Snapshot start_;
  mutable std::mutex committed_mutex_;
  Snapshot committed_;
};
}
