#include "consensus/sequencer.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "consensus/signature.h"

#include <algorithm>

namespace concordat::consensus
{
namespace
{
constexpr std::chrono::milliseconds idle_wait{100};

Error refused_while_broken(const Error& reason)
{
  return Error{
      ErrorCode::unavailable,
      "this node cannot write its ledger now; reads go on, writes are accepted again once it can",
      std::make_shared<const Error>(reason)};
}
}

/// A transaction that has its place in the order and waits for agreement.
struct Sequencer::Waiting
{
  TxId txid;
  ledger::EncodedEntry entry;
  std::atomic<bool> encoded{false}; ///< entry is set; waited for by the sequencer thread
  Done done;
};

struct Sequencer::Batch
{
  std::vector<std::shared_ptr<Waiting>> transactions;
  TxId signature_txid;
  kv::Snapshot state; ///< below the signature, then including it
  ledger::EncodedEntry signature;
  Descriptor descriptor;
};

Sequencer::Sequencer(
    kv::Store& store, base::FileSystem& files, base::Path ledger_directory, const ledger::LedgerSecrets& secrets,
    Signer signer, base::Clock& clock, DurableStateFile& durable, SequencerOptions options, SequencerStart start)
    : store_(store),
      files_(files),
      ledger_directory_(std::move(ledger_directory)),
      secrets_(secrets),
      signer_(std::move(signer)),
      clock_(clock),
      durable_file_(durable),
      options_(options),
      tree_(std::move(start.tree)),
      durable_(start.durable),
      views_(std::move(start.views)),
      signatures_(std::move(start.signatures)),
      chunks_(std::move(start.chunks))
{
  CHECK(chunks_->last() + 1 == tree_.size(), "the tree covers the ledger");
  if (!signatures_.empty())
    committed_ = TxId{views_.view_of(signatures_.back()), signatures_.back()};
  log_.reset(start.last_index, std::max(durable_.opened_term, committed_.view));
  broken_ = Error{ErrorCode::unavailable, "no term has been opened yet", nullptr};
}

Sequencer::~Sequencer() = default;

Result<TxId> Sequencer::submit(const kv::WriteTransaction& transaction, const Named& named, Done done)
{
  {
    const std::lock_guard lock(mutex_);
    if (broken_)
      return std::unexpected(refused_while_broken(*broken_));
    if (stopping_)
      return fail(ErrorCode::unavailable, "this node is stopping");
  }
  if (options_.max_uncommitted != 0 && waiting_count_.load(std::memory_order_relaxed) >= options_.max_uncommitted)
    return fail(ErrorCode::limit, "too many transactions wait for agreement; try again later");

  const auto waiting = std::make_shared<Waiting>();
  waiting->done = std::move(done);
  std::optional<Error> broken_meanwhile;
  const auto seqno = store_.commit(
      transaction,
      [&](TxId place)
      {
        const std::lock_guard lock(mutex_);
        if (broken_)
        {
          broken_meanwhile = broken_;
          return;
        }
        waiting->txid = place;
        if (named)
          named(waiting->txid);
        queue_.push_back(waiting);
        waiting_count_.fetch_add(1, std::memory_order_relaxed);
      });
  if (!seqno)
    return std::unexpected(seqno.error());
  if (broken_meanwhile) // the head is thrown away before anything can be written again
    return std::unexpected(refused_while_broken(*broken_meanwhile));

  const auto txid = waiting->txid;
  std::string public_maps;
  std::string private_maps;
  kv::encode(transaction.writes(), kv::Domain::public_maps, public_maps);
  kv::encode(transaction.writes(), kv::Domain::private_maps, private_maps);
  waiting->entry =
      ledger::encode_entry(secrets_.at(txid.seqno), txid, 0, transaction.claims_digest(), public_maps, private_maps);
  waiting->encoded.store(true, std::memory_order_release);
  waiting->encoded.notify_one();
  work_.notify_one();
  return txid;
}

/// What can be said of a transaction now; nothing if that has to be waited for.
std::optional<Result<void>> Sequencer::known_outcome(TxId id) const
{
  if (id == TxId{})
    return Result<void>{};
  switch (status_under_lock(id))
  {
  case TxStatus::committed:
    return Result<void>{};
  case TxStatus::invalid:
    return fail(ErrorCode::lost, "transaction " + id.to_string() + " was never committed, and cannot be any more");
  case TxStatus::unknown:
    return fail(ErrorCode::unavailable, "transaction " + id.to_string() + " is not known here");
  case TxStatus::pending:
    break;
  }
  if (broken_)
    return std::unexpected(refused_while_broken(*broken_));
  if (stopped_)
    return fail(ErrorCode::unavailable, "this node is stopping");
  return std::nullopt;
}

void Sequencer::when_committed(TxId id, Done done)
{
  Result<void> outcome;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_outcome(id);
    if (!known)
    {
      barriers_.emplace_back(id, std::move(done));
      return;
    }
    outcome = *known;
  }
  done(outcome);
}

void Sequencer::settle_barriers()
{
  std::vector<std::pair<Done, Result<void>>> settled;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(
        barriers_,
        [&](auto& barrier)
        {
          auto outcome = known_outcome(barrier.first);
          if (outcome)
            settled.emplace_back(std::move(barrier.second), std::move(*outcome));
          return outcome.has_value();
        });
  }
  for (const auto& [done, outcome] : settled)
    done(outcome);
}

Sequencer::Batch Sequencer::close_batch()
{
  Batch batch;
  batch.state = store_.reserve(
      [&](TxId place)
      {
        const std::lock_guard lock(mutex_);
        batch.transactions.assign(queue_.begin(), queue_.end());
        queue_.clear();
        batch.signature_txid = place;
      });
  for (const auto& waiting : batch.transactions)
  {
    waiting->encoded.wait(false, std::memory_order_acquire);
    tree_.append(waiting->entry.leaf);
  }
  return batch;
}

void Sequencer::sign(Batch& batch)
{
  const auto root = tree_.root();
  auto& txid = batch.signature_txid;
  const auto writes = signature_writes(signer_, txid, root, tree_.serialise(), clock_.unix_seconds());

  std::uint64_t chunk_bytes = chunks_->open_chunk_bytes();
  for (const auto& waiting : batch.transactions)
    chunk_bytes += waiting->entry.bytes.size();
  const std::uint8_t flags = chunk_bytes >= options_.chunk_size ? ledger::chunk_after : 0;

  std::string public_maps;
  kv::encode(writes, kv::Domain::public_maps, public_maps);
  batch.signature = ledger::encode_entry(secrets_.at(txid.seqno), txid, flags, Digest{}, public_maps, {});
  tree_.append(batch.signature.leaf);
  batch.state = store_.fill(batch.state, txid, writes);

  auto& descriptor = batch.descriptor;
  descriptor.first = chunks_->last() + 1;
  descriptor.last = txid.seqno;
  descriptor.length = batch.signature.bytes.size();
  for (const auto& waiting : batch.transactions)
    descriptor.length += waiting->entry.bytes.size();
  descriptor.digest = batch.signature.leaf;
}

Result<void> Sequencer::persist(const Ready& round, const Batch* batch)
{
  bool stores_batch = false;
  auto durable = durable_;
  for (const auto& entry : round.entries)
  {
    if (entry.batch)
    {
      CHECK(batch && *entry.batch == batch->descriptor, "the engine appends what was proposed");
      stores_batch = true;
    }
    else
    {
      durable.opened_term = entry.term;
      durable.opened_index = entry.index;
    }
  }
  if (round.hard_state)
  {
    durable.term = round.hard_state->term;
    durable.vote = round.hard_state->vote;
  }
  if (durable != durable_)
  {
    if (auto saved = durable_file_.save(durable); !saved)
      return fail("cannot store the state of consensus", saved.error());
    durable_ = durable;
  }
  if (stores_batch)
  {
    std::vector<std::string_view> entries;
    entries.reserve(batch->transactions.size() + 1);
    for (const auto& waiting : batch->transactions)
      entries.push_back(waiting->entry.bytes);
    entries.push_back(batch->signature.bytes);
    if (auto appended = chunks_->append(entries); !appended)
      return fail("cannot append to the ledger", appended.error());
#ifndef CONCORDAT_FAULT_ACKNOWLEDGE_BEFORE_SYNC
    if (auto synced = chunks_->sync(); !synced)
      return fail("cannot make the ledger durable", synced.error());
#endif
  }
  log_.append(round.entries);
  return {};
}

Result<void> Sequencer::agree(const Batch& batch)
{
  if (auto proposed = engine_->propose(batch.descriptor); !proposed)
    return std::unexpected(proposed.error());
  bool committed = false;
  const auto note_committed = [&](const Ready& round)
  {
    for (const auto& entry : round.committed)
      committed = committed || (entry.batch && *entry.batch == batch.descriptor);
  };
  while (engine_->has_ready())
  {
    const auto round = engine_->ready();
    if (auto persisted = persist(round, &batch); !persisted)
      return persisted;
    note_committed(round);
    note_committed(engine_->advance());
  }
  if (!committed)
    return fail(ErrorCode::unavailable, "the batch has not been agreed on");
  engine_->applied(log_.last_index());
  log_.compact(log_.last_index());
  return {};
}

void Sequencer::finish(Batch& batch)
{
  const auto seqno = batch.signature_txid.seqno;
  store_.set_committed(batch.state);
  tree_.flush(seqno);
  if (auto renamed = chunks_->commit(seqno); !renamed)
    spdlog::warn("a completed ledger file keeps its name for now: {}", renamed.error().describe());
  {
    const std::lock_guard lock(mutex_);
    committed_ = batch.signature_txid;
    signatures_.push_back(seqno);
  }
  waiting_count_.fetch_sub(batch.transactions.size(), std::memory_order_relaxed);
  for (const auto& waiting : batch.transactions)
    if (waiting->done)
      waiting->done({});
  settle_barriers();
  // After the answers, so that nobody waits for it: a start that finds less than the mark refuses.
  const bool ends_chunk = (static_cast<unsigned char>(batch.signature.bytes[1]) & ledger::chunk_after) != 0;
  keep_mark(ends_chunk || mark_due_);
  mark_due_ = false;
}

/// Seals how far was committed. Only what is durable is ever in it: the tree ends with the last committed signature.
void Sequencer::keep_mark(bool now)
{
  const auto last = committed();
  if (durable_.mark.txid == last || (!now && clock_.steady() < next_mark_))
    return;
  auto durable = durable_;
  durable.mark = {last, tree_.root()};
  next_mark_ = clock_.steady() + options_.mark_interval;
  if (auto saved = durable_file_.save(durable); !saved)
    spdlog::warn("how far transactions are committed is not sealed for now: {}", saved.error().describe());
  else
    durable_ = durable;
}

void Sequencer::fail_all(const std::vector<std::shared_ptr<Waiting>>& waiting, const Error& error)
{
  waiting_count_.fetch_sub(waiting.size(), std::memory_order_relaxed);
  const Result<void> outcome = std::unexpected(refused_while_broken(error));
  for (const auto& one : waiting)
    if (one->done)
      one->done(outcome);
  settle_barriers();
}

void Sequencer::break_down(Batch batch, const Error& error)
{
  spdlog::error("writes stop: {}", error.describe());
  auto lost = std::move(batch.transactions);
  {
    const std::lock_guard lock(mutex_);
    broken_ = error;
    lost.insert(lost.end(), queue_.begin(), queue_.end());
    queue_.clear();
  }
  engine_.reset();
  fail_all(lost, error);
  next_repair_ = clock_.steady() + options_.repair_interval;
}

Result<void> Sequencer::elect()
{
  EngineOptions options;
  options.id = options_.engine_id;
  options.voters = {options_.engine_id};
  options.hard_state = {durable_.term, durable_.vote, log_.last_index()};
  options.applied = log_.last_index();
  auto engine = Engine::create(options, log_);
  if (!engine)
    return std::unexpected(engine.error());
  engine_ = std::move(*engine);
  if (auto started = engine_->campaign(); !started)
    return started;
  while (engine_->has_ready())
  {
    const auto round = engine_->ready();
    if (auto persisted = persist(round, nullptr); !persisted)
      return persisted;
    engine_->advance();
  }
  if (!engine_->leads())
    return fail(ErrorCode::unavailable, "this node was not elected");
  return {};
}

Result<void> Sequencer::open_term()
{
  CHECK(!can_write(), "a term is opened once, and again only after writing has failed");
  if (auto elected = elect(); !elected)
  {
    engine_.reset();
    return elected;
  }
  store_.reset(
      store_.committed(), engine_->term(),
      [&]
      {
        const std::lock_guard lock(mutex_);
        CHECK(queue_.empty(), "nothing is queued while nothing can be written");
        view_ = engine_->term();
        views_.truncate(committed_.seqno);
        views_.begin(view_, committed_.seqno + 1);
        broken_.reset();
        signature_due_ = committed_.seqno != 0;
        mark_due_ = true;
      });
  spdlog::info("primary in view {}, from seqno {}", view(), committed().seqno + 1);
  return {};
}

Result<void> Sequencer::holds_committed(const ledger::ChunkFiles& chunks, Seqno last) const
{
  if (last == 0)
    return {};
  const auto bytes = chunks.read(last);
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto entry = ledger::parse_entry(*bytes);
  if (!entry || entry->leaf() != tree_.leaf(last))
    return fail(
        ErrorCode::corrupt,
        "the ledger directory holds another transaction " + std::to_string(last) + " than was committed");
  return {};
}

Result<void> Sequencer::repair()
{
  const auto last = committed().seqno;
  auto opened = ledger::ChunkFiles::open(files_, ledger_directory_, secrets_, {.acknowledged = last});
  if (!opened)
    return std::unexpected(opened.error());
  // Going on after something else than what was committed would sign a history that no file holds.
  if (auto same = holds_committed(**opened, last); !same)
    return same;
  if (auto cut = (*opened)->truncate(last); !cut)
    return cut;
  tree_.truncate(last + 1);
  {
    const std::lock_guard lock(mutex_);
    chunks_ = std::move(*opened);
  }
  return open_term();
}

bool Sequencer::step()
{
  if (!can_write())
  {
    if (clock_.steady() < next_repair_)
      return false;
    if (auto repaired = repair(); !repaired)
    {
      next_repair_ = clock_.steady() + options_.repair_interval;
      spdlog::warn("still cannot write: {}", repaired.error().describe());
      return false;
    }
    spdlog::info("writes go on");
  }
  bool idle = false;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty() && !signature_due_)
      idle = true;
  }
  if (idle)
  {
    keep_mark(false);
    return false;
  }
  auto batch = close_batch();
  sign(batch);
  if (auto agreed = agree(batch); !agreed)
  {
    break_down(std::move(batch), agreed.error());
    return false;
  }
  signature_due_ = false;
  finish(batch);
  return true;
}

void Sequencer::run()
{
  while (wait_for_work())
    step();
  if (can_write())
    keep_mark(true);
  settle_barriers();
}

bool Sequencer::wait_for_work()
{
  std::unique_lock lock(mutex_);
  if (queue_.empty() && !signature_due_ && !stopping_)
    work_.wait_for(lock, idle_wait, [&] { return stopping_ || !queue_.empty(); });
  // What was submitted before the stop is committed first, unless nothing can be.
  stopped_ = stopping_ && (broken_ || (queue_.empty() && !signature_due_));
  return !stopped_;
}

void Sequencer::stop()
{
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  work_.notify_all();
}

View Sequencer::view() const
{
  return view_.load(std::memory_order_acquire);
}

bool Sequencer::can_write() const
{
  const std::lock_guard lock(mutex_);
  return !broken_;
}

TxId Sequencer::committed() const
{
  const std::lock_guard lock(mutex_);
  return committed_;
}

std::uint64_t Sequencer::waiting() const
{
  return waiting_count_.load(std::memory_order_relaxed);
}

ViewHistory Sequencer::views() const
{
  const std::lock_guard lock(mutex_);
  return views_;
}

TxStatus Sequencer::status_under_lock(TxId id) const
{
  // Read after the lock was taken: a seqno is in views_ before the head holds it, and gone from both after a repair.
  const auto last = std::max(store_.head_seqno(), committed_.seqno);
  return status_of(id, id.seqno <= last ? views_.view_of(id.seqno) : 0, committed_);
}

TxStatus Sequencer::status(TxId id) const
{
  const std::lock_guard lock(mutex_);
  return status_under_lock(id);
}

Result<std::optional<Seqno>> Sequencer::signature_covering(Seqno seqno) const
{
  const std::lock_guard lock(mutex_);
  const auto found = std::lower_bound(signatures_.begin(), signatures_.end(), seqno);
  return found == signatures_.end() ? std::nullopt : std::optional(*found);
}

Result<std::string> Sequencer::read(Seqno seqno) const
{
  std::shared_ptr<const ledger::ChunkFiles> chunks;
  {
    const std::lock_guard lock(mutex_);
    if (seqno > committed_.seqno)
      return fail(ErrorCode::not_found, "transaction " + std::to_string(seqno) + " is not committed");
    chunks = chunks_;
  }
  return chunks->read(seqno);
}
}
