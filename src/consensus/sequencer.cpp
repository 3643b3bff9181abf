#include "consensus/sequencer.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/received.h"
#include "ledger/entry.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <utility>

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

const Error stopping{ErrorCode::unavailable, "this node is stopping", nullptr};

ReplicaOptions replica_options(const SequencerOptions& options, std::function<void()> stored)
{
  ReplicaOptions out;
  out.id = options.engine_id;
  out.tick = options.tick;
  out.election_ticks = options.election_ticks;
  out.seed = options.seed;
  out.disk = options.disk;
  out.reader = options.reader;
  out.kept_entries = options.kept_entries;
  out.stored = std::move(stored);
  out.patience_ticks = options.disk_patience * options.election_ticks;
  return out;
}
}

const Error Sequencer::not_primary{
    ErrorCode::unavailable, "this node is not primary, and only the primary takes writes", nullptr};

Sequencer::Sequencer(
    kv::Store& store, base::FileSystem& files, base::Path ledger_directory, ledger::LedgerSecrets& secrets,
    Signer signer, base::Clock& clock, DurableStateFile& durable, SequencerOptions options, SequencerStart start)
    : store_(store),
      secrets_(secrets),
      clock_(clock),
      options_(std::move(options)),
      signer_(std::move(signer)),
      tracker_(store, start.views, start.signatures, options_.invariants),
      ledger_(files, std::move(ledger_directory), secrets, start.chunks, options_.invariants),
      batcher_(
          store, secrets, signer_, clock, options_, std::move(start.tree), [this] { wake(); }, options_.invariants),
      replica_(
          replica_options(options_, [this] { wake(); }), clock, durable, start.durable, ledger_,
          options_.peers ? this : nullptr, start.log, tracker_.committed().seqno,
          {.committed = [this](const std::shared_ptr<const Batch>& batch) { finish(batch); },
           .lost = [this](const std::vector<std::shared_ptr<const Batch>>& lost) { tell_lost(lost); },
           .read = [this](std::uint64_t token, bool fresh)
           { reads_.answer(token, fresh ? Result<void>{} : std::unexpected(not_primary)); }},
          options_.invariants),
      marks_(replica_, clock, options_.mark_interval, options_.aside, options_.invariants),
      readmission_(options_.peers, options_.readmit, 2 * options_.tick, 10 * options_.election_ticks * options_.tick),
      feed_([this](Seqno seqno) { return ledger_.read(seqno); }, secrets, tracker_.committed())
{
  CHECK(tracker_.committed().seqno + 1 == batcher_.tree().size(), "the tree covers what is committed");
  const auto last =
      start.log.batches.empty() ? tracker_.committed().seqno : start.log.batches.rbegin()->second->descriptor.last;
  CHECK(ledger_.last() == last, "a start cuts what is not in the log");
  if (options_.invariants)
    options_.invariants->started(tracker_.committed(), last);
}

Sequencer::~Sequencer() = default;

Result<TxId> Sequencer::submit(const kv::WriteTransaction& transaction, const Named& named, Done done)
{
  if (stopping_.load(std::memory_order_relaxed))
    return std::unexpected(stopping);
  return batcher_.submit(transaction, named, std::move(done));
}

void Sequencer::when_committed(TxId id, Done done)
{
  tracker_.when_committed(id, std::move(done));
}

bool Sequencer::when_fresh(Done done)
{
  if (!reads_.ask(done))
    return true;
  wake();
  return false;
}

bool Sequencer::when_primary(Done done)
{
  if (reads_.ask(done))
  {
    wake();
    return false;
  }
  const auto agreed = agreement();
  // Alone among the voters it may still have to learn what one that was taken out has committed as the last primary.
  if (agreed.primary && agreed.configuration.is_alone(agreed.self))
    return true;
  done(std::unexpected(not_primary));
  return false;
}

/// A batch is agreed on, and durable. The order here is what readers and writers rely on.
void Sequencer::finish(const std::shared_ptr<const Batch>& batch)
{
  cede();
  const auto seqno = batch->signature_txid.seqno;
  const auto state = state_of(*batch);
  // First: whoever is answered reads their own write, as does whoever hears of the answer.
  store_.set_committed(state);
  if (options_.invariants)
    options_.invariants->published(state->txid());
  // The next signature's tree begins here, which tells a later start that this batch was acknowledged: it must never
  // begin at what is not.
  batcher_.committed(seqno);
  marks_.committed({batch->signature_txid, batch->is_own() ? batch->root : batcher_.tree().root()}, replica_.applied());
  // Before the answers, so that whoever is answered finds room for their next transaction.
  batcher_.settled(batch->transactions);
  tracker_.committed(*batch);
  feed_.committed(batch->signature_txid);
  if (options_.published)
    options_.published(state);
  progressed_ = true;
  if (stopped_in_ && batch->signature_txid.view > *stopped_in_ && secret_begins_)
    stopped_in_.reset();
  if (secret_learned_ && options_.secret_changed)
    options_.secret_changed();
  // Files get another name, which nobody waits for.
  replica_.name_committed(seqno);
  // After the answers, so that nobody waits for it: a start that finds less than the mark refuses.
  marks_.keep_committed(batch->ends_chunk);
}

/// The state with a batch that is committed, whoever has made it; the tree reaches to its end afterwards.
kv::Snapshot Sequencer::state_of(const Batch& batch)
{
  secret_learned_ = false;
  secret_begins_ = batch.is_own() && changes_at_ == batch.descriptor.first;
  if (primary_)
    return batch.state;
  if (batch.is_own())
  {
    batcher_.append(batch);
    return batch.state;
  }
  ledger::SecretFollower opener(secrets_, options_.receiver, true);
  auto state = apply_received(batch, opener, store_.committed(), batcher_.followed_tree());
  // The others have agreed on it: a node that cannot follow must not go on as if nothing had happened.
  if (!state)
    throw std::runtime_error(state.error().describe());
  secret_learned_ = opener.changed();
  secret_begins_ = opener.saw_change();
  return std::move(*state);
}

void Sequencer::send(Message message)
{
  std::vector<std::shared_ptr<const Batch>> batches;
  for (const auto& entry : message.entries)
  {
    if (!entry.batch)
      continue;
    auto batch = batch_of(*entry.batch);
    if (!batch)
    {
      spdlog::warn("a message to node {} is not sent: {}", message.to, batch.error().describe());
      return;
    }
    batches.push_back(std::move(*batch));
  }
  options_.peers->send(message.to, std::move(message.bytes), std::move(batches));
}

/// A batch that another node lacks: in flight here, or read from the ledger.
Result<std::shared_ptr<const Batch>> Sequencer::batch_of(const Descriptor& descriptor) const
{
  if (auto batch = replica_.batch(descriptor))
    return batch;
  std::string bytes;
  for (auto seqno = descriptor.first; seqno <= descriptor.last; ++seqno)
  {
    const auto entry = ledger_.read(seqno);
    if (!entry)
      return std::unexpected(entry.error());
    bytes += *entry;
  }
  return Batch::received(descriptor, std::move(bytes));
}

void Sequencer::deliver(std::string message, std::vector<std::shared_ptr<const Batch>> batches)
{
  Incoming incoming{std::move(message), std::move(batches), 0};
  incoming.bytes = incoming.message.size();
  for (const auto& batch : incoming.batches)
    incoming.bytes += batch->descriptor.length;
  {
    const base::LockGuard lock(inbox_mutex_);
    if (!inbox_.empty() && inbox_bytes_ + incoming.bytes > options_.max_inbox_bytes)
      return; // it is sent again
    inbox_bytes_ += incoming.bytes;
    inbox_.push_back(std::move(incoming));
  }
  wake();
}

/// @return an error of the disk
Result<void> Sequencer::receive_all()
{
  std::deque<Incoming> all;
  {
    const base::LockGuard lock(inbox_mutex_);
    all.swap(inbox_);
    inbox_bytes_ = 0;
  }
  if (!replica_.runs())
    return {}; // they are sent again
  for (const auto& one : all)
  {
    const auto received = replica_.receive(one.message, one.batches);
    if (received)
      continue;
    const auto code = received.error().code;
    // Nothing has changed then, and the primary sends what is missing again.
    if (code != ErrorCode::not_found && code != ErrorCode::invalid && code != ErrorCode::corrupt &&
        code != ErrorCode::limit)
      return received;
    spdlog::warn("a message of another node is dropped: {}", received.error().describe());
  }
  return {};
}

/// Another primary has put something else in their place, and it is committed: these never will be.
void Sequencer::tell_lost(const std::vector<std::shared_ptr<const Batch>>& lost)
{
  const Result<void> never = fail(ErrorCode::lost, "another primary has gone on without it");
  for (const auto& batch : lost)
  {
    batcher_.settled(batch->transactions);
    for (const auto& one : batch->transactions)
      one->settle(never);
  }
}

/// Nothing is taken any more and everybody who waits is told, in this order: nobody gets in behind those who are told.
void Sequencer::refuse_all(const Error& why, std::vector<std::shared_ptr<Waiting>> lost)
{
  const auto queued = batcher_.close(why);
  lost.insert(lost.end(), queued.begin(), queued.end());
  tracker_.blocked(why);
  batcher_.settled(lost);
  const Result<void> outcome = std::unexpected(why);
  for (const auto& one : lost)
    one->settle(outcome);
}

/// Ends this node's part in the agreement. @return whose fate is not known then
std::vector<std::shared_ptr<Waiting>> Sequencer::give_up()
{
  std::vector<std::shared_ptr<Waiting>> all;
  for (const auto& batch : replica_.abandon())
    all.insert(all.end(), batch->transactions.begin(), batch->transactions.end());
  return all;
}

void Sequencer::break_down(const Error& error, const std::vector<std::shared_ptr<Waiting>>& lost)
{
  spdlog::error("writes stop: {}", error.describe());
  broken_ = true;
  next_repair_ = clock_.steady() + options_.repair_interval;
  primary_ = false;
  auto all = give_up();
  reads_.refuse(not_primary);
  next_agreement_ = {};
  tell_agreement();
  all.insert(all.end(), lost.begin(), lost.end());
  refuse_all(refused_while_broken(error), std::move(all));
}

Result<void> Sequencer::repair()
{
  const auto last = tracker_.committed().seqno;
  // The files first: what they turn out to hold decides whether a view may be opened behind it at all.
  if (auto opened = ledger_.reopen(last, last == 0 ? nullptr : &batcher_.tree().leaf(last)); !opened)
    return opened;
  batcher_.truncate(last);
  return lead(true);
}

/// What the disk, the others and the time have brought. @return an error of the disk
Result<void> Sequencer::move_on()
{
  if (auto stored = replica_.take_stored(); !stored)
    return stored;
  if (options_.peers)
  {
    if (auto met = meet_others(); !met)
      return met;
    if (auto received = receive_all(); !received)
      return received;
  }
  if (auto ticked = replica_.tick(); !ticked)
    return ticked;
  return give_way();
}

bool Sequencer::step()
{
  if (broken_)
  {
    // What a node that is not alone has acknowledged to the others is in its files, which only a start reads.
    if (clock_.steady() < next_repair_ || !is_alone() || replica_.is_storing())
      return false;
    if (auto repaired = repair(); !repaired)
    {
      next_repair_ = clock_.steady() + options_.repair_interval;
      spdlog::warn("still cannot write: {}", repaired.error().describe());
      return false;
    }
    spdlog::info("writes go on");
  }
  progressed_ = false;
  if (auto moved = move_on(); !moved)
  {
    break_down(moved.error(), {});
    return false;
  }
  if (auto followed = follow_roles(); !followed)
  {
    break_down(followed.error(), {});
    return false;
  }
  end_doubts();
  adapt_membership();
  if (!primary_)
    reads_.refuse(not_primary);
  else if (const auto token = reads_.next())
    replica_.read(*token);
  if (!can_propose())
  {
    marks_.keep();
    return progressed_;
  }
  std::vector<std::shared_ptr<Waiting>> lost;
  auto batch = batcher_.next(lost);
  if (!batch)
  {
    break_down(batch.error(), lost);
    return false;
  }
  if ((*batch)->change)
    change_queued_ = false;
  if (auto proposed = replica_.propose(std::move(*batch)); !proposed)
  {
    break_down(proposed.error(), {});
    return false;
  }
  signature_due_ = false;
  return progressed_;
}

void Sequencer::run()
{
  // A node whose order has ended must not look alive: whatever gets here that no caller names ends the process.
  try
  {
    while (true)
    {
      step();
      if (!broken_ && (can_propose() || has_mail()))
        continue;
      if (stopping_.load(std::memory_order_acquire) && !keeps_on())
        break;
      wait_for_work();
    }
    marks_.finish(!broken_);
    // Somebody may have got in since the last look; nobody does after this. What others may still commit is told too.
    refuse_all(stopping, give_up());
    reads_.refuse(not_primary);
  }
  catch (const std::exception& thrown)
  {
    // To the log and, as for a CHECK, to where a dying process is heard even if its log is not.
    spdlog::critical("the thread that orders transactions ends: {}", thrown.what());
    std::fprintf(stderr, "the thread that orders transactions ends: %s\n", thrown.what());
    std::abort();
  }
}

bool Sequencer::can_propose() const
{
  // While one batch is being stored, transactions gather for the next.
  return primary_ && replica_.may_propose() && (batcher_.has_work() || signature_due_) && !replica_.has_unstored() &&
         replica_.bytes_in_flight() <= options_.max_bytes_in_flight;
}

bool Sequencer::has_mail() const
{
  if (!options_.peers)
    return false;
  if (readmission_.has_mail())
    return true;
  const base::LockGuard lock(inbox_mutex_);
  return !inbox_.empty();
}

void Sequencer::wake()
{
  // Whoever sets it wakes; the others know that the thread will look again.
  if (woken_.exchange(true, std::memory_order_acq_rel))
    return;
  const base::LockGuard lock(wake_mutex_);
  work_.notify_one();
}

void Sequencer::wait_for_work()
{
  const base::LockGuard lock(wake_mutex_);
  if (!woken_.load(std::memory_order_acquire))
    work_.wait_for(wake_mutex_, std::min(idle_wait, options_.tick)); // woken too early, it looks for nothing
  // Before the next look at what waits: what comes later sets it again.
  woken_.exchange(false, std::memory_order_acq_rel);
}

void Sequencer::stop()
{
  stopping_.store(true, std::memory_order_release);
  wake();
}

View Sequencer::view() const
{
  return tracker_.view();
}

bool Sequencer::can_write() const
{
  return !tracker_.why_blocked();
}

TxId Sequencer::committed() const
{
  return tracker_.committed();
}

std::uint64_t Sequencer::waiting() const
{
  return batcher_.waiting();
}

ViewHistory Sequencer::views() const
{
  return tracker_.views();
}

TxStatus Sequencer::status(TxId id) const
{
  return tracker_.status(id);
}

Result<std::optional<Seqno>> Sequencer::signature_covering(Seqno seqno) const
{
  const auto [known, must_read] = tracker_.signature_covering(seqno);
  if (!must_read)
    return known;
  return find_signature(seqno, committed().seqno, [this](Seqno at) { return ledger_.read(at); });
}

Result<std::string> Sequencer::read(Seqno seqno) const
{
  if (seqno > committed().seqno)
    return fail(ErrorCode::not_found, "transaction " + std::to_string(seqno) + " is not committed");
  return ledger_.read(seqno);
}
}
