#include "kv/store.h"

#include "base/check.h"
#include "kv/prepared_writes.h"
#include "kv/transaction_impl.h"

#include <utility>

namespace concordat::kv
{
namespace
{
std::uint64_t new_lineage()
{
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

// The place is taken, and others count on what stands there: running out of memory halfway ends the process.
void apply_or_end(State& state, const WriteSet& writes, TxId txid) noexcept
{
  state.apply(writes, txid);
}

void finish_or_end(PreparedWrites& prepared, State& head, TxId txid) noexcept
{
  prepared.finish(head, txid);
}

/// Holds the turn of large transactions to the end of the scope.
class SCOPED_CAPABILITY LargeTurn
{
public:
  /// @param waits  called before it is waited for, if somebody else has it; may be null
  LargeTurn(base::Mutex& turn, const std::function<void()>& waits) ACQUIRE(turn) : turn_(turn)
  {
    if (turn_.try_lock())
      return;
    if (waits)
      waits();
    turn_.lock();
  }
  LargeTurn(const LargeTurn&) = delete;
  LargeTurn& operator=(const LargeTurn&) = delete;
  ~LargeTurn() RELEASE()
  {
    turn_.unlock();
  }

private:
  base::Mutex& turn_;
};

std::unexpected<Error> before_the_reset()
{
  return fail(ErrorCode::conflict, "the transaction began before the store was set back; run it again");
}

std::unexpected<Error> changed(const std::string& map)
{
  return fail(ErrorCode::conflict, "another transaction has changed what this one read in " + map);
}
}

Store::Store(StoreOptions options) : options_(std::move(options))
{
  reset(std::make_shared<const State>(), 0);
}

Snapshot Store::committed() const
{
  const base::LockGuard lock(snapshots_mutex_);
  return committed_;
}

void Store::set_committed(Snapshot state)
{
  bool far = false;
  {
    const base::LockGuard lock(snapshots_mutex_);
    CHECK(state->seqno() >= committed_->seqno(), "what is committed stays committed");
    far = state->lineage_ == committed_->lineage_ && state->keys_written_ - committed_->keys_written_ > options_.large;
    std::swap(committed_, state);
  }
  // The one before goes after the lock: it may be the last to hold many pages.
  if (far && options_.let_go)
    options_.let_go(std::move(state));
}

std::unique_ptr<WriteTransaction> Store::begin(RunBy runs_by)
{
  Snapshot base;
  {
    const base::LockGuard lock(snapshots_mutex_);
    base = start_;
  }
  return std::make_unique<WriteTransaction>(std::move(base), runs_by);
}

std::unique_ptr<WriteTransaction> Store::begin_fresh(RunBy runs_by)
{
  Snapshot base;
  Snapshot old;
  {
    const base::LockGuard lock(mutex_);
    base = std::make_shared<const State>(head_);
    old = start_from(base);
  }
  return std::make_unique<WriteTransaction>(std::move(base), runs_by);
}

Snapshot Store::start_from(Snapshot snapshot)
{
  const base::LockGuard lock(snapshots_mutex_);
  return std::exchange(start_, std::move(snapshot));
}

Result<TxId> Store::commit(const WriteTransaction& transaction, const std::function<Result<void>(Order&)>& ordered)
{
  const auto& tx = *transaction.impl_;
  CHECK(!tx.writes.empty(), "the caller commits only what has written something");
  // Looked at again, as an entry that should not be there can keep a node from ever starting again.
  for (const auto& [map, writes] : tx.writes)
    if (!tx.may_have_written(map))
      return fail(ErrorCode::denied, refusal(tx.runs_by, Access::write, map));
  if (tx.extent() > options_.large)
  {
    if (!options_.turns)
      return commit_large(transaction, ordered);
    const LargeTurn turn(large_turn_, options_.waits);
    return commit_large(transaction, ordered);
  }
  Order order(*this);
  const base::LockGuard lock(mutex_);
  if (tx.base->lineage_ != head_.lineage_)
    return before_the_reset();
  if (tx.base->revision_ != head_.revision_)
    if (const auto* const map = tx.changed_in(head_))
      return changed(*map);
  const auto txid = place(transaction, order, ordered);
  if (txid)
    apply_or_end(head_, tx.writes, *txid);
  return txid;
}

Result<TxId> Store::place(const WriteTransaction& transaction, Order& order, const Ordered& ordered)
{
  if (!reservations_.empty())
    for (const auto& map : filled_maps_)
      if (transaction.impl_->maps.contains(map))
        return fail(ErrorCode::conflict, "a transaction that comes before this one is still to write in " + map);
  if (ordered)
    if (auto placed = ordered(order); !placed)
      return std::unexpected(placed.error());
  const TxId txid{view_, ++last_};
  head_seqno_.store(txid.seqno, std::memory_order_release);
  return txid;
}

Result<TxId> Store::commit_large(const WriteTransaction& transaction, const Ordered& ordered)
{
  const auto& tx = *transaction.impl_;
  const auto copy_of_head = [this]
  {
    const base::LockGuard lock(mutex_);
    return head_;
  };
  auto head = copy_of_head();
  if (tx.base->lineage_ != head.lineage_)
    return before_the_reset();
  if (const auto* const map = tx.changed_in(head))
    return changed(*map);
  PreparedWrites prepared(transaction, std::move(head));
  for (unsigned round = 1;; ++round)
  {
    head = copy_of_head();
    if (tx.base->lineage_ != head.lineage_)
      return before_the_reset();
    if (const auto* const map = prepared.follow(std::move(head)))
      return changed(*map);
    prepared.close();
    if (options_.prepared)
      options_.prepared();

    Order order(*this);
    const base::LockGuard lock(mutex_);
    if (tx.base->lineage_ != head_.lineage_)
      return before_the_reset();
    if (head_.keys_written_ - prepared.followed().keys_written_ > options_.far_behind && round < options_.most_rounds)
      continue;
    if (const auto* const map = prepared.changed_in(head_))
      return changed(*map);
    const auto txid = place(transaction, order, ordered);
    if (txid)
      finish_or_end(prepared, head_, *txid);
    return txid;
  }
}

// Only `commit` makes an Order, with the lock held.
TxId Store::Order::next() const
{
  return {store_.view_, store_.last_ + 1};
}

std::pair<TxId, Snapshot> Store::Order::reserve()
{
  return store_.reserve_locked(old_);
}

std::pair<TxId, Snapshot> Store::reserve_locked(Snapshot& old)
{
  const Snapshot below = std::make_shared<const State>(head_);
  const TxId txid{view_, last_ + 1};
  reservations_.push_back({txid, {}});
  last_ = txid.seqno;
  head_seqno_.store(last_, std::memory_order_release);
  old = start_from(below);
  return {txid, below};
}

Snapshot Store::reserve(const std::function<void(TxId)>& ordered)
{
  Snapshot old;
  const base::LockGuard lock(mutex_);
  const auto [txid, below] = reserve_locked(old);
  if (ordered)
    ordered(txid);
  return below;
}

Snapshot Store::fill(const Snapshot& below, TxId txid, const WriteSet& writes)
{
  CHECK(below->seqno() < txid.seqno, "the reservation came after what is below it");
  const auto filled = std::make_shared<State>(*below);

  Snapshot old;
  const base::LockGuard lock(mutex_);
  if (below->lineage_ != head_.lineage_)
  {
    filled->apply(writes, txid);
    return filled;
  }
  CHECK(!reservations_.empty() && reservations_.front().txid == txid, "what is filled was reserved, in this order");
  for (const auto& [id, earlier] : reservations_.front().missing)
    filled->apply(*earlier, id);
  reservations_.pop_front();
  if (!reservations_.empty())
  {
    const auto shared = std::make_shared<const WriteSet>(writes);
    for (auto& later : reservations_)
      later.missing.emplace_back(txid, shared);
  }
  filled_maps_.clear();
  for (const auto& [name, map_writes] : writes)
  {
    const auto* const now = head_.find(name);
    const auto* const then = filled->find(name);
    CHECK((now ? now->version : 0) == (then ? then->version : 0), "a later write must not be overwritten");
    filled_maps_.push_back(name);
  }
  filled->apply(writes, txid);
  apply_or_end(head_, writes, txid);
  old = start_from(filled);
  return filled;
}

Seqno Store::head_seqno() const
{
  return head_seqno_.load(std::memory_order_acquire);
}

void Store::reset(const Snapshot& state, View view, const std::function<void()>& while_locked)
{
  CHECK(view >= state->txid().view, "views never go back");
  auto renewed = std::make_shared<State>(*state);
  renewed->lineage_ = new_lineage();
  renewed->revision_ = 0;

  // What was there before goes after the lock.
  State head = *renewed;
  Snapshot start = std::move(renewed);
  Snapshot committed = start;
  const base::LockGuard lock(mutex_);
  std::swap(head_, head);
  last_ = head_.seqno();
  view_ = view;
  reservations_.clear();
  head_seqno_.store(last_, std::memory_order_release);
  {
    const base::LockGuard snapshots_lock(snapshots_mutex_);
    std::swap(start_, start);
    std::swap(committed_, committed);
  }
  if (while_locked)
    while_locked();
}
}
