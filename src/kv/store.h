#pragma once

#include "base/mutex.h"
#include "kv/access.h"
#include "kv/tree.h"
#include "kv/write_set.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace concordat::kv
{
/// All maps as of one transaction. Immutable once shared as `Snapshot`; copying costs a few reference counts a map.
class State
{
public:
  struct Map
  {
    std::string name;
    Tree tree;
    Seqno version = 0; ///< seqno of the last transaction that wrote or removed in it
  };

  /// The last transaction that it holds; 0.0 for the empty state.
  TxId txid() const
  {
    return txid_;
  }
  Seqno seqno() const
  {
    return txid_.seqno;
  }
  /// Null for a map that was never written.
  const Map* find(std::string_view name) const;
  const std::vector<Map>& maps() const
  {
    return maps_;
  } ///< ordered by name
  /// Applies the write set of a transaction, whose id becomes the state's if its seqno is greater.
  void apply(const WriteSet& writes, TxId txid);

  /// For loading a snapshot: the map of that name, made if it is missing, to be filled through the tree returned,
  /// which is valid until the next call.
  /// @param version  of the map
  Tree& restore_map(std::string_view name, Seqno version);
  /// For loading a snapshot: the last transaction of the whole state.
  void restore_txid(TxId txid)
  {
    txid_ = txid;
  }

private:
  friend class Store;
  friend class WriteTransaction;
  friend class PreparedWrites;

  /// A write set of so many keys is in: notes it.
  void applied(TxId txid, std::uint64_t keys);
  /// Made if it is missing; its version is raised to `version`.
  Map& map_for_writing(std::string_view name, Seqno version);

  std::vector<Map> maps_;
  TxId txid_;
  std::uint64_t lineage_ = 0;      ///< states of one store between two resets: the same seqno means the same write set
  std::uint64_t revision_ = 0;     ///< write sets applied since then; equal numbers in one lineage mean equal contents
  std::uint64_t keys_written_ = 0; ///< in them: how far two states of one lineage are apart, at most
};

using Snapshot = std::shared_ptr<const State>;

/// A transaction that reads a snapshot and remembers what it read and wrote. A map that whoever runs it may not touch
/// (`rights`) throws AccessDenied, with nothing noted.
/// Used by one thread at a time. Made by `Store::begin`, or directly over any snapshot.
class WriteTransaction : public Transaction
{
public:
  explicit WriteTransaction(Snapshot base, RunBy runs_by = RunBy::application);
  ~WriteTransaction() override;

  std::optional<std::string_view> get(std::string_view map, std::string_view key) override;
  std::optional<Seqno> version(std::string_view map, std::string_view key) override;
  std::unique_ptr<Cursor>
  scan(std::string_view map, std::string_view from = {}, std::optional<std::string_view> to = std::nullopt) override;
  void put(std::string_view map, std::string_view key, std::string_view value) override;
  void remove(std::string_view map, std::string_view key) override;
  void set_claims_digest(const Digest& digest) override;

  /// Calls `work` with the rights of the node itself in place of those of whoever runs the transaction: for what the
  /// framework adds of its own. The rights end with the call; what was written stays.
  void as_node(const std::function<void(Transaction&)>& work);

  const Snapshot& base() const;
  RunBy runs_by() const;
  const WriteSet& writes() const;
  const Digest& claims_digest() const;
  /// At least one map was read or written.
  bool touched() const;

private:
  friend class Store;
  friend class PreparedWrites;
  friend struct AccessTest;
  struct Impl;
  class MergeCursor;
  std::unique_ptr<Impl> impl_;
};

/// Reads one snapshot, which it keeps alive; what whoever runs it may not read throws AccessDenied.
class SnapshotTransaction : public ReadTransaction
{
public:
  explicit SnapshotTransaction(Snapshot base, RunBy runs_by = RunBy::application)
      : base_(std::move(base)),
        runs_by_(runs_by)
  {
  }
  std::optional<std::string_view> get(std::string_view map, std::string_view key) override;
  std::optional<Seqno> version(std::string_view map, std::string_view key) override;
  std::unique_ptr<Cursor>
  scan(std::string_view map, std::string_view from = {}, std::optional<std::string_view> to = std::nullopt) override;

  const Snapshot& base() const
  {
    return base_;
  }
  bool touched() const
  {
    return touched_;
  }

private:
  /// Null for a map that was never written.
  const Tree* open(std::string_view map);

  Snapshot base_;
  RunBy runs_by_;
  bool touched_ = false;
  std::string last_name_; ///< transactions stay with one map for long
  const Tree* last_ = nullptr;
};

/// How transactions that write or have read much take their place.
struct StoreOptions
{
  /// Keys that one writes or has read; with more it is made ready beside the head before it is ordered.
  std::uint64_t large = 200;
  /// Keys that others have written since: with more, what is made ready follows the head once more, beside the lock;
  std::uint64_t far_behind = 500;
  /// but not more often than this, so that nobody is put off for ever.
  unsigned most_rounds = 8;
  /// For tests: called each time before what was made ready takes the lock.
  std::function<void()> prepared = {};
  /// For tests: called when a large one has to wait for its turn, before it does.
  std::function<void()> waits = {};
  /// Large ones are made ready one after the other: what two of them make ready at once, each would have to take over
  /// from the other again. Off only for tests whose `prepared` commits more of them.
  bool turns = true;
  /// Takes what was committed, when what is committed now differs from it by more than `large` keys: to let go of it
  /// elsewhere, because it may be the last to hold many pages, and whoever publishes is waited for. Null: at once.
  std::function<void(Snapshot)> let_go = {};
};

/// The ordered, versioned store of one node: a head that transactions commit to one after the other, the snapshot
/// that new transactions start from, and the committed snapshot that reads are served from.
///
/// Any thread may call. Optimistic: transactions run without locks on a snapshot; `commit` checks under one lock that
/// nothing they read (keys, and ranges including what is absent) has changed in the head since. What a large one writes
/// is made ready beside the head, and only taken over under the lock.
class Store
{
public:
  explicit Store(StoreOptions options = {});

  /// The end of the order, in the hands of a `commit` that holds the lock.
  class Order
  {
  public:
    /// The id that the transaction gets.
    TxId next() const NO_THREAD_SAFETY_ANALYSIS;
    /// Reserves that seqno for a write set that comes before the transaction, which gets the one after.
    /// @return its id, and the state below it
    std::pair<TxId, Snapshot> reserve() NO_THREAD_SAFETY_ANALYSIS;

  private:
    friend class Store;
    explicit Order(Store& store) : store_(store) {}

    Store& store_;
    Snapshot old_; ///< goes after the lock: it may be the last to hold many pages
  };

  /// The state that agreement has been reached on.
  Snapshot committed() const;
  /// @pre state's seqno is not below that of the one before
  void set_committed(Snapshot state);

  /// A transaction on the last snapshot taken of the head: cheap, and right as long as nobody writes what it reads.
  /// @param runs_by  who has the least rights unless somebody else is named
  std::unique_ptr<WriteTransaction> begin(RunBy runs_by = RunBy::application);
  /// A transaction on the head as it is now, which later ones begin from as well; for running again after a conflict.
  std::unique_ptr<WriteTransaction> begin_fresh(RunBy runs_by = RunBy::application);

  /// Checks the transaction against the head, gives it the next seqno in the current view and applies its writes.
  /// @param ordered called under the lock, before anything has changed: takes the place in the order, and may put a
  ///                reservation before it. If it fails or throws, nothing has happened but for that reservation.
  /// @return the id; the error of `ordered`; Error::conflict when something it read has changed; Error::denied when it
  /// has written what
  ///         whoever runs it may not write, however that came about; nothing is done then
  /// @pre the transaction has written something
  Result<TxId> commit(const WriteTransaction& transaction, const std::function<Result<void>(Order&)>& ordered);

  /// Reserves the next seqno for a write set that is not known yet, and returns the state below it. Several may be
  /// open, and are filled in their order; transactions may commit meanwhile, but as they come after them in the order,
  /// those that touch a map that the last one filled wrote get Error::conflict until all are filled.
  /// @param ordered called under the lock
  Snapshot reserve(const std::function<void(TxId)>& ordered);
  /// Fills the oldest reservation: applies `writes` as of `txid` to the head, and to a copy of `below` (together with
  /// what earlier ones were filled with since it was taken), which is returned and which `begin` starts from now on. If
  /// there was a reset in between, only the copy is made.
  /// @pre nobody else has written in the maps of `writes` since the reservation
  Snapshot fill(const Snapshot& below, TxId txid, const WriteSet& writes);

  Seqno head_seqno() const;

  /// Throws the head away and starts again from `state`, which also becomes the committed one; an open reservation is
  /// given up. Transactions that began before get Error::conflict from `commit`, whatever they read: seqnos are given
  /// out anew, in `view`.
  /// @param view  not below the state's; greater whenever seqnos above it were given out before
  /// @param while_locked called under the lock, after the change
  void reset(const Snapshot& state, View view, const std::function<void()>& while_locked = {});

private:
  /// A place that is held, and what earlier ones were filled with after the state below it was taken.
  struct Reservation
  {
    TxId txid;
    std::vector<std::pair<TxId, std::shared_ptr<const WriteSet>>> missing;
  };

  using Ordered = std::function<Result<void>(Order&)>;
  Result<TxId> commit_large(const WriteTransaction& transaction, const Ordered& ordered) EXCLUDES(mutex_);
  /// Gives the transaction its place, once nothing that it read has changed; then what it writes must take effect.
  Result<TxId> place(const WriteTransaction& transaction, Order& order, const Ordered& ordered) REQUIRES(mutex_);

  /// @param old  set to what is to be let go of without locks
  std::pair<TxId, Snapshot> reserve_locked(Snapshot& old) REQUIRES(mutex_);
  /// Makes `snapshot` what `begin` starts from.
  /// @return the one before, to be let go of without locks: it may be the last to hold many pages
  Snapshot start_from(Snapshot snapshot) EXCLUDES(snapshots_mutex_);

  const StoreOptions options_;
  base::Mutex large_turn_; ///< of the large transaction that is made ready; taken before `mutex_`
  mutable base::Mutex mutex_;
  State head_ GUARDED_BY(mutex_);
  View view_ GUARDED_BY(mutex_) = 0;                        ///< in which seqnos are given out
  Seqno last_ GUARDED_BY(mutex_) = 0;                       ///< the last seqno given out
  std::deque<Reservation> reservations_ GUARDED_BY(mutex_); ///< that are open, in their order
  std::vector<std::string> filled_maps_ GUARDED_BY(mutex_); ///< that the last one filled wrote
  std::atomic<Seqno> head_seqno_ = 0;                       ///< last_, for those who do not want to wait

  mutable base::Mutex snapshots_mutex_ ACQUIRED_AFTER(mutex_); ///< held for moments only
  Snapshot start_ GUARDED_BY(snapshots_mutex_);
  Snapshot committed_ GUARDED_BY(snapshots_mutex_);
};
}
