#include "consensus/batcher.h"

#include "base/check.h"
#include "consensus/signature.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace concordat::consensus
{
namespace
{
ledger::EntryDraft draft_of(const kv::WriteSet& writes)
{
  ledger::EntryDraft draft;
  kv::encode(writes, kv::Domain::public_maps, draft.maps());
  draft.end_public();
  kv::encode(writes, kv::Domain::private_maps, draft.maps());
  return draft;
}
}

/// Takes back what was counted for a transaction that gets no place.
class Batcher::Admission
{
public:
  Admission(Batcher& batcher, std::uint64_t bytes) : batcher_(batcher), bytes_(bytes) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission()
  {
    if (kept_)
      return;
    batcher_.waiting_count_.fetch_sub(1, std::memory_order_relaxed);
    batcher_.waiting_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
  }
  void keep()
  {
    kept_ = true;
  }

private:
  Batcher& batcher_;
  const std::uint64_t bytes_;
  bool kept_ = false;
};

Batcher::Batcher(
    kv::Store& store, const ledger::LedgerSecrets& secrets, const Signer& signer, const base::Clock& clock,
    const BatcherOptions& options, ledger::MerkleTree tree, std::function<void()> wake, Invariants* invariants)
    : store_(store),
      secrets_(secrets),
      signer_(signer),
      clock_(clock),
      options_(options),
      wake_(std::move(wake)),
      invariants_(invariants),
      tree_(std::move(tree)),
      refused_(Error{ErrorCode::unavailable, "no view has been opened yet", nullptr}),
      open_(std::make_shared<Batch>())
{
}

Result<void> Batcher::admit(std::uint64_t bytes)
{
  const auto most = options_.max_entry_bytes == 0 ? ledger::max_entry_size
                                                  : std::min(options_.max_entry_bytes, ledger::max_entry_size);
  if (bytes > most)
    return fail(
        ErrorCode::invalid, "this transaction would take " + std::to_string(bytes) +
                                " bytes in the ledger, and one may take " + std::to_string(most) +
                                "; submit it in smaller parts");
  const auto count = waiting_count_.fetch_add(1, std::memory_order_relaxed);
  const auto before = waiting_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  Admission admission(*this, bytes);
  if (options_.max_uncommitted != 0 && count >= options_.max_uncommitted)
    return fail(
        ErrorCode::limit, "too many transactions wait for agreement (" + std::to_string(count) + "); try again later");
  // What is larger than the bound by itself still gets through, alone.
  if (options_.max_uncommitted_bytes != 0 && before != 0 && before + bytes > options_.max_uncommitted_bytes)
    return fail(
        ErrorCode::limit,
        "transactions of " + std::to_string(before) + " bytes wait for agreement, which is too much; try again later");
  admission.keep();
  return {};
}

Result<TxId> Batcher::submit(const kv::WriteTransaction& transaction, const Ordering::Named& named, Ordering::Done done)
{
  return take(transaction, named, std::move(done), {});
}

Result<TxId> Batcher::submit_first(const kv::WriteTransaction& transaction)
{
  return take(transaction, {}, {}, {.is_first = true});
}

Result<TxId> Batcher::submit_change(const kv::WriteTransaction& transaction, const ConfigurationChange& change)
{
  return take(transaction, {}, {}, {.change = &change});
}

Result<TxId>
Batcher::take(const kv::WriteTransaction& transaction, const Ordering::Named& named, Ordering::Done done, Own own)
{
  if (!own.is_first)
  {
    const base::LockGuard lock(mutex_);
    if (refused_)
      return std::unexpected(*refused_);
  }
  // Whatever can be done, and can fail, without knowing the place is done before there is one.
  auto draft = draft_of(transaction.writes());
  const auto size = draft.size();
  if (auto admitted = admit(size); !admitted)
    return std::unexpected(admitted.error());
  Admission admission(*this, size);
  const auto waiting = std::make_shared<Waiting>(size, std::move(done));
  const auto txid = order(transaction, named, waiting, own);
  if (!txid)
    return txid;
  admission.keep();

  // The nonce is made of view and seqno, so that only now it can be encrypted. The transaction is in the head by now:
  // if this fails, the batch cannot be closed, and the view ends without it.
  try
  {
    const auto& told = own.is_first || own.change ? options_.placed_own : options_.placed;
    if (told)
      told(*txid);
    waiting->encoded(std::move(draft).encode(secrets_.at(txid->seqno), *txid, 0, transaction.claims_digest()));
  }
  catch (...)
  {
    waiting->failed();
  }
  wake_();
  return txid;
}

Result<TxId> Batcher::order(
    const kv::WriteTransaction& transaction, const Ordering::Named& named, const std::shared_ptr<Waiting>& waiting,
    Own own)
{
  return store_.commit(
      transaction,
      [&](kv::Store::Order& order) -> Result<void>
      {
        const base::LockGuard lock(mutex_);
        if (refused_ && !own.is_first)
          return std::unexpected(*refused_);
        if (ends_before(waiting->size()) || (own.change && !open_->transactions.empty()))
        {
          auto [signature, below] = order.reserve();
          end_open_batch(signature, std::move(below));
        }
        // First what may run out of memory: the place is taken only if nothing throws.
        auto change = own.change ? std::optional(*own.change) : std::nullopt;
        open_->transactions.push_back(waiting);
        waiting->txid = order.next();
        try
        {
          if (named)
            named(waiting->txid);
        }
        catch (...)
        {
          open_->transactions.pop_back();
          throw;
        }
        open_->bytes += waiting->size();
        if (change)
          open_->change = std::move(change);
        if (invariants_)
          invariants_->issued(waiting->txid);
        return {};
      });
}

bool Batcher::ends_before(std::uint64_t bytes) const
{
  const auto count = open_->transactions.size();
  if (count == 0)
    return false;
  // Encrypting and storing a large one takes long: those before it do not wait for that.
  if (options_.large_entry_bytes != 0 && bytes >= options_.large_entry_bytes)
    return true;
  return (options_.max_batch_transactions != 0 && count >= options_.max_batch_transactions) ||
         (options_.max_batch_bytes != 0 && open_->bytes + bytes > options_.max_batch_bytes);
}

void Batcher::end_open_batch(TxId signature, kv::Snapshot below)
{
  auto next = std::make_shared<Batch>();
  ended_.push_back(open_);
  open_->signature_txid = signature;
  open_->below = std::move(below);
  open_ = std::move(next);
  if (invariants_)
    invariants_->issued(signature);
}

std::uint64_t Batcher::waiting() const
{
  return waiting_count_.load(std::memory_order_relaxed);
}

void Batcher::open(Seqno after, std::uint64_t chunk_bytes)
{
  closed_ = after;
  chunk_bytes_ = chunk_bytes;
  const base::LockGuard lock(mutex_);
  CHECK(open_->transactions.empty() && ended_.empty(), "nothing is taken while nothing can be written");
}

void Batcher::admit_all()
{
  const base::LockGuard lock(mutex_);
  refused_.reset();
}

std::vector<std::shared_ptr<Waiting>> Batcher::close(const Error& why)
{
  std::vector<std::shared_ptr<Waiting>> left;
  const base::LockGuard lock(mutex_);
  refused_ = why;
  ended_.push_back(std::exchange(open_, std::make_shared<Batch>()));
  for (const auto& batch : ended_)
    left.insert(left.end(), batch->transactions.begin(), batch->transactions.end());
  ended_.clear();
  return left;
}

bool Batcher::has_work() const
{
  const base::LockGuard lock(mutex_);
  return !ended_.empty() || !open_->transactions.empty();
}

std::shared_ptr<Batch> Batcher::take()
{
  {
    const base::LockGuard lock(mutex_);
    if (!ended_.empty())
    {
      const auto batch = ended_.front();
      ended_.pop_front();
      return batch;
    }
  }
  // Under the store's lock nothing else gets a place between the last transaction of the batch and its signature.
  std::shared_ptr<Batch> mine;
  auto below = store_.reserve(
      [&](TxId signature)
      {
        const base::LockGuard lock(mutex_);
        mine = open_;
        end_open_batch(signature, nullptr);
      });
  mine->below = std::move(below); // only this thread takes batches that have ended
  const base::LockGuard lock(mutex_);
  const auto batch = ended_.front(); // another one, if somebody has ended it meanwhile
  ended_.pop_front();
  return batch;
}

Result<std::shared_ptr<const Batch>> Batcher::next(std::vector<std::shared_ptr<Waiting>>& lost)
{
  const auto batch = take();
  const auto failed = [&](std::string what)
  {
    lost = batch->transactions;
    return fail(ErrorCode::internal, std::move(what));
  };
  for (const auto& transaction : batch->transactions)
    if (!transaction->wait())
      return failed("transaction " + transaction->txid.to_string() + " could not be encoded");
  try
  {
    sign(*batch);
  }
  catch (const std::exception& thrown)
  {
    return failed("batch " + batch->signature_txid.to_string() + " could not be signed: " + thrown.what());
  }
  return batch;
}

void Batcher::sign(Batch& batch)
{
  const auto txid = batch.signature_txid;
  for (const auto& transaction : batch.transactions)
    tree_.append(transaction->entry().leaf);
  const auto root = tree_.root();
  const auto writes = signature_writes(signer_, txid, root, tree_.serialise(), clock_.unix_seconds());

  batch.ends_chunk = chunk_bytes_ + batch.bytes >= options_.chunk_size;
  batch.signature = draft_of(writes).encode(
      secrets_.at(txid.seqno), txid, batch.ends_chunk ? ledger::chunk_after : std::uint8_t{0}, Digest{});
  batch.descriptor = {
      closed_ + 1, txid.seqno, batch.bytes + batch.signature.bytes.size(),
      batch.signature.leaf}; // which binds all entries of the batch
  batch.state = store_.fill(batch.below, txid, writes);
  batch.below.reset();
  if (invariants_)
    invariants_->closed(batch, tree_.size(), ledger::read_signature(writes).value().record.value().root, tree_.root());
  tree_.append(batch.signature.leaf);
  batch.root = tree_.root();
  closed_ = txid.seqno;
  chunk_bytes_ = batch.ends_chunk ? 0 : chunk_bytes_ + batch.descriptor.length;
}

void Batcher::append(const Batch& batch)
{
  for (const auto& transaction : batch.transactions)
    tree_.append(transaction->entry().leaf);
  tree_.append(batch.signature.leaf);
}

void Batcher::settled(const std::vector<std::shared_ptr<Waiting>>& transactions)
{
  std::uint64_t bytes = 0;
  for (const auto& transaction : transactions)
    bytes += transaction->size();
  waiting_count_.fetch_sub(transactions.size(), std::memory_order_relaxed);
  waiting_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}
}
