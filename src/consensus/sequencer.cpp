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

const Error not_primary{ErrorCode::unavailable, "this node is not primary, and only the primary takes writes", nullptr};
const Error returning{
    ErrorCode::unavailable, "this node has come back, and waits until it may take part again; reads go on", nullptr};
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
           .read = [this](std::uint64_t token, bool fresh) { answer_reads(token, fresh); }},
          options_.invariants),
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
  return !ask(done);
}

bool Sequencer::when_primary(Done done)
{
  if (ask(done))
    return false;
  const auto agreed = agreement();
  // Alone among the voters it may still have to learn what one that was taken out has committed as the last primary.
  if (agreed.primary && agreed.configuration.is_alone(agreed.self))
    return true;
  done(std::unexpected(not_primary));
  return false;
}

/// @return false if this node leads nobody; `done` is left as it was then
bool Sequencer::ask(Done& done)
{
  if (!asks_others())
    return false;
  {
    const base::LockGuard lock(asking_mutex_);
    if (!promises_.load(std::memory_order_relaxed))
      return false;
    asking_.push_back(std::move(done));
  }
  wake();
  return true;
}

/// One round for all who have come since the last one began: an answer is of use only to who asked before.
void Sequencer::ask_for_reads()
{
  if (!primary_)
    return lose_reads();
  if (asked_)
    return;
  {
    const base::LockGuard lock(asking_mutex_);
    if (asking_.empty())
      return;
    asked_for_.swap(asking_);
  }
  asked_ = ++last_token_;
  replica_.read(last_token_);
}

void Sequencer::answer_reads(std::uint64_t token, bool fresh)
{
  CHECK(asked_ == token, "there is one round at a time");
  asked_.reset();
  const Result<void> outcome = fresh ? Result<void>{} : std::unexpected(not_primary);
  for (const auto& done : std::exchange(asked_for_, {}))
    done(outcome);
}

/// Nobody will ask for those who wait.
void Sequencer::lose_reads()
{
  std::vector<Done> lost;
  {
    const base::LockGuard lock(asking_mutex_);
    promises_ = false;
    lost.swap(asking_);
  }
  for (const auto& done : lost)
    done(std::unexpected(not_primary));
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
  committed_index_ = replica_.applied();
  committed_mark_ = {batch->signature_txid, batch->is_own() ? batch->root : batcher_.tree().root()};
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
  keep_mark(std::exchange(mark_due_, false) || batch->ends_chunk);
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

Result<void> Sequencer::take_part(bool full_stop)
{
  CHECK(options_.peers, "there is a way to the others");
  if (auto started = replica_.start(); !started)
    return started;
  if (full_stop)
    stopped_in_ = replica_.term();
  broken_ = false;
  tracker_.blocked(not_primary);
  // Nobody else can be primary, so there is nobody to be heard first.
  return is_alone() ? replica_.campaign() : Result<void>{};
}

void Sequencer::come_back(const Return& how)
{
  CHECK(options_.peers, "there is a way to the others");
  broken_ = false;
  tracker_.blocked(returning);
  readmission_.begin(how, clock_.steady());
}

void Sequencer::hear(const std::string& node, std::string presence)
{
  readmission_.hear(node, std::move(presence));
  wake();
}

/// As the roll is called.
Presence Sequencer::presence() const
{
  Presence own;
  own.id = replica_.id();
  own.term = replica_.term();
  own.last = replica_.last();
  own.returning = !replica_.is_level();
  own.applied = replica_.last_applied();
  const auto& configuration = replica_.configuration();
  own.voters = configuration.voters;
  own.voters.insert(own.voters.end(), configuration.voters_outgoing.begin(), configuration.voters_outgoing.end());
  own.coming = replica_.coming_voters();
  return own;
}

/// Before any message of consensus is looked at: until it is known how this node takes part, they are dropped.
Result<void> Sequencer::meet_others()
{
  const auto now = clock_.steady();
  if (replica_.hears_leader() || !lonely_from_)
    lonely_from_ = now + 2 * options_.election_ticks * options_.tick;
  const bool lonely = now >= *lonely_from_;
  if (!readmission_.has_work(lonely))
    return {};
  const auto verdict = readmission_.step(
      {.own = presence(),
       .may_admit = [this](EngineId id) { return primary_ && replica_.is_confirmed_without(id); },
       .lonely = lonely,
       .committed = store_.committed(),
       .configuration = replica_.configuration(),
       .now = now});
  for (const auto committed : readmission_.take_committed())
    if (auto learned = replica_.learn_committed(committed); !learned)
      return learned;
  if (!verdict)
    return {};
  if (replica_.runs())
  {
    if (verdict->id == replica_.id())
    {
      // It helps the one that all have agreed on until it is level.
      if (replica_.is_level())
        readmission_.settle();
      else if (verdict->votes_for != 0)
        replica_.vote_for(verdict->votes_for);
      else
        replica_.be_level();
      return {};
    }
    if (replica_.leads() || (replica_.is_level() && !verdict->admitted) || !replica_.may_rest())
      return {};
    // Nobody listens to the number that it has. What it stores lies in the ledger and the log, and goes on there.
    replica_.rest();
  }
  spdlog::info(
      "takes part again, under number {}{}", verdict->id,
      verdict->votes_for != 0 ? ", once it is level with node number " + std::to_string(verdict->votes_for) : "");
  if (!verdict->missing.empty())
  {
    spdlog::warn("what only {} nodes that are missing have acknowledged is lost", verdict->missing.size());
    const base::LockGuard lock(agreement_mutex_);
    accepted_missing_ = verdict->missing;
  }
  if (verdict->full_stop)
    stopped_in_ = verdict->term - 1;
  options_.peers->takes_part_as(verdict->id);
  if (auto started = replica_.start_again(verdict->id, verdict->term, verdict->votes_for); !started)
    return started;
  tracker_.blocked(not_primary);
  if (replica_.is_level())
    readmission_.settle();
  return is_alone() ? replica_.campaign() : Result<void>{};
}

/// Becomes primary once it may, and ceases to be as soon as another node could.
/// @return an error if it may, and cannot
Result<void> Sequencer::follow_roles()
{
  cede();
  if (!primary_ && replica_.may_write())
    if (auto opened = open_view(true); !opened)
      return opened;
  if (!primary_)
    tracker_.follows(replica_.term());
  promises_.store(primary_ && !is_alone(), std::memory_order_release);
  tell_agreement();
  tell_log();
  return {};
}

/// At once when another leads; how far the others are changes with every message, and is told once a tick.
void Sequencer::tell_agreement()
{
  const auto now = clock_.steady();
  const auto is_told = [&]
  {
    const base::LockGuard lock(agreement_mutex_);
    return agreement_.view == replica_.term() && agreement_.leader == replica_.leader() &&
           agreement_.primary == primary_;
  };
  if (now < next_agreement_ && is_told())
    return;
  next_agreement_ = now + options_.tick;
  auto agreement = replica_.agreement();
  agreement.primary = primary_;
  const base::LockGuard lock(agreement_mutex_);
  agreement_ = std::move(agreement);
}

/// What a node that follows has stored is pending, as what a primary has ordered is.
void Sequencer::tell_log()
{
  std::vector<CommitTracker::Held> held;
  if (!primary_)
    for (const auto& batch : replica_.in_flight())
      held.push_back({batch->signature_txid.view, batch->descriptor.first, batch->descriptor.last});
  if (held == told_log_)
    return;
  told_log_ = held;
  tracker_.holds(std::move(held));
}

Agreement Sequencer::agreement() const
{
  const base::LockGuard lock(agreement_mutex_);
  return agreement_;
}

std::vector<EngineId> Sequencer::accepted_missing() const
{
  const base::LockGuard lock(agreement_mutex_);
  return accepted_missing_;
}

/// Before anything of another primary is looked at: what this one had in the making is not in its way.
void Sequencer::cede()
{
  if (!primary_ || replica_.leads())
    return;
  primary_ = false;
  signature_due_ = false;
  change_queued_ = false;
  spdlog::info("no longer primary in view {}", tracker_.view());
  doubt_ends_ = clock_.steady() + options_.doubt;
  // What was not proposed never will be. What was may be committed by others: it stays in flight until that is known.
  const auto queued = batcher_.close(not_primary);
  tracker_.blocked(not_primary);
  batcher_.settled(queued);
  const Result<void> never = fail(ErrorCode::lost, "this node is no longer primary, and has not proposed it");
  for (const auto& one : queued)
    one->settle(never);
  // The tree goes back to what is committed, and so does the store: transactions that run now begin anew.
  batcher_.truncate(tracker_.committed().seqno);
  store_.reset(store_.committed(), std::max(replica_.term(), store_.committed()->txid().view));
}

/// Whoever leads now may never be heard of here: those who wait are told that nobody knows. The batches stay in flight.
void Sequencer::end_doubts()
{
  if (!doubt_ends_ || clock_.steady() < *doubt_ends_)
    return;
  doubt_ends_.reset();
  const Error unknown{
      ErrorCode::unavailable, "this node is no longer primary, and does not know whether others commit it", nullptr};
  for (const auto& batch : replica_.in_flight())
    for (const auto& one : batch->transactions)
      one->give_up_on(unknown);
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

/// Seals how far was committed. Only what is durable is ever in it.
void Sequencer::keep_mark(bool now)
{
  if (committed_mark_.txid == TxId{} || (!now && clock_.steady() < next_mark_))
    return;
  // First: what is sealed is locked while it is being written.
  if (sealing_.load(std::memory_order_acquire))
  {
    mark_due_ = mark_due_ || now;
    return;
  }
  if (replica_.durable().mark == committed_mark_)
    return;
  next_mark_ = clock_.steady() + options_.mark_interval;
  if (!options_.aside)
    return seal(committed_mark_, committed_index_);
  sealing_.store(true, std::memory_order_relaxed);
  base::Job job;
  job.run = [this, mark = committed_mark_, index = committed_index_]
  {
    seal(mark, index);
    end_sealing();
  };
  job.refuse = [this](base::Refusal) { end_sealing(); };
  if (!options_.aside->submit(std::move(job)))
  {
    mark_due_ = true;
    end_sealing();
  }
}

void Sequencer::seal(const Mark& mark, Index index)
{
  if (options_.invariants)
    options_.invariants->marked(mark.txid);
  if (auto sealed = replica_.seal(mark, index); !sealed)
    spdlog::warn("how far transactions are committed is not sealed for now: {}", sealed.error().describe());
}

void Sequencer::end_sealing()
{
  sealing_.store(false, std::memory_order_release);
  sealing_.notify_all();
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
  lose_reads();
  next_agreement_ = {};
  tell_agreement();
  all.insert(all.end(), lost.begin(), lost.end());
  refuse_all(refused_while_broken(error), std::move(all));
}

Result<void> Sequencer::open_term()
{
  if (auto led = lead(false); !led)
    return led;
  // At the beginning of the service the first transaction is its creation.
  signature_due_ = tracker_.committed().seqno != 0;
  return {};
}

/// @param records  whether this node itself writes the first transaction of the view
Result<void> Sequencer::lead(bool records)
{
  CHECK(!can_write(), "a term is opened once, and again only after writing has failed");
  const auto elected = [this]() -> Result<void>
  {
    if (auto started = replica_.start(); !started)
      return started;
    if (auto led = replica_.campaign(); !led)
      return led;
    if (!replica_.leads())
      return fail(ErrorCode::unavailable, "this node was not elected");
    return {};
  }();
  if (!elected)
  {
    (void)replica_.abandon();
    return elected;
  }
  if (auto opened = open_view(records); !opened)
  {
    (void)replica_.abandon();
    return opened;
  }
  broken_ = false;
  tell_agreement();
  return {};
}

Result<void> Sequencer::open_view(bool records)
{
  const auto view = replica_.term();
  // The view is durable by now. In it seqnos are given out again from what is committed on; whatever stood there before
  // is gone from the store and the files, and its ids, having the old view, are never taken for the new ones.
  store_.reset(
      store_.committed(), view,
      [&]
      {
        const auto committed = tracker_.committed();
        if (options_.invariants)
          options_.invariants->view_begun(view, committed);
        tracker_.view_begun(view);
        batcher_.open(committed.seqno, ledger_.open_chunk_bytes());
      });
  if (records)
    if (auto recorded = record_place(); !recorded)
      return recorded;
  batcher_.admit_all();
  primary_ = true;
  signature_due_ = true;
  change_queued_ = false;
  mark_due_ = true;
  spdlog::info("primary in view {}, from seqno {}", view, tracker_.committed().seqno + 1);
  return {};
}

LogRecord Sequencer::place() const
{
  LogRecord record;
  record.index = replica_.last_index() + 1;
  record.opened = replica_.opened_last();
  record.configuration = replica_.configuration();
  return record;
}

/// The first transaction of a view says where its batch stands in the log.
Result<void> Sequencer::record_place()
{
  const auto transaction = store_.begin_fresh(kv::RunBy::node);
  transaction->put(LogRecord::table, ledger::single_key, place().to_json());
  const auto first = tracker_.committed().seqno + 1;
  // A secret that begins where nothing is committed was of a batch that has been lost: nobody else would know it.
  if (first > 1)
    secrets_.take_back(first);
  changes_at_.reset();
  if (stopped_in_ && first > 1 && options_.first_after_full_stop)
  {
    if (auto added = options_.first_after_full_stop(*transaction, first); !added)
      return fail("cannot begin the first view after a full stop", added.error());
    changes_at_ = first;
  }
  const auto placed = batcher_.submit_first(*transaction);
  CHECK(placed, "nobody else can have written in a view that is being opened");
  return {};
}

/// Brings who takes part nearer to what the committed tables say. The batch that does it is proposed only when no
/// change before it is under way, and this view's first batch is applied: the engine would refuse it.
void Sequencer::adapt_membership()
{
  const auto now = clock_.steady();
  if (!options_.wanted || !primary_ || change_queued_ || now < next_adaption_)
    return;
  next_adaption_ = now + options_.tick;
  if (!replica_.may_change() || tracker_.committed().view != tracker_.view())
    return;
  auto agreement = replica_.agreement();
  Membership membership{
      replica_.id(), std::move(agreement.configuration), options_.wanted(store_.committed()),
      std::move(agreement.progress), replica_.last_index()};
  const auto change = next_change(membership);
  if (!change)
  {
    if (const auto& voters = membership.wanted.voters; std::ranges::find(voters, replica_.id()) == voters.end())
      (void)replica_.hand_over(); // whoever takes over removes this node
    return;
  }
  auto after = membership.configuration.after(*change);
  if (!after)
  {
    spdlog::error("who takes part cannot be changed: {}", after.error().describe());
    return;
  }
  // Before anybody else is counted: a start believes from then on that what it has stored may not be committed.
  if (auto joined = replica_.join_others(); !joined)
    return break_down(joined.error(), {});
  LogRecord record;
  record.configuration = std::move(*after);
  record.change = *change;
  const auto transaction = store_.begin_fresh(kv::RunBy::node);
  transaction->put(LogRecord::table, ledger::single_key, record.to_json());
  if (const auto queued = batcher_.submit_change(*transaction, *change); !queued)
    return spdlog::warn("who takes part is changed later: {}", queued.error().describe());
  change_queued_ = true;
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

/// A primary whose disk does not answer keeps everybody waiting, for as long as its heartbeats say that all is well.
Result<void> Sequencer::give_way()
{
  const bool hangs = replica_.disk_hangs();
  if (hangs != std::exchange(hangs_, hangs))
  {
    if (hangs)
      spdlog::error("the disk does not answer; what waits for it is stored, and told, once it does");
    else
      spdlog::info("the disk answers again");
  }
  if (!hangs || !primary_ || is_alone() || !replica_.may_propose())
    return {};
  spdlog::warn("gives up being primary in view {}, as the disk does not answer", tracker_.view());
  // Whoever takes over does so at once; if nobody has, within an election time-out, they are to elect one of them.
  if (std::exchange(gave_way_, tracker_.view()) != tracker_.view() && replica_.hand_over())
    return {};
  return replica_.step_down();
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
  ask_for_reads();
  if (!can_propose())
  {
    keep_mark(false);
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
    // The last mark is sealed after any other, and before this returns.
    sealing_.wait(true, std::memory_order_acquire);
    if (!broken_ && committed_mark_.txid != TxId{} && replica_.durable().mark != committed_mark_)
      seal(committed_mark_, committed_index_);
    // Somebody may have got in since the last look; nobody does after this. What others may still commit is told too.
    refuse_all(stopping, give_up());
    lose_reads();
  }
  catch (const std::exception& thrown)
  {
    // To the log and, as for a CHECK, to where a dying process is heard even if its log is not.
    spdlog::critical("the thread that orders transactions ends: {}", thrown.what());
    std::fprintf(stderr, "the thread that orders transactions ends: %s\n", thrown.what());
    std::abort();
  }
}

/// When it stops: a primary hands over first, and waits for as long as an election would take for what is in flight.
bool Sequencer::keeps_on()
{
  if (broken_ || is_alone() || (!primary_ && replica_.bytes_in_flight() == 0))
    return false;
  if (!patience_)
  {
    if (!primary_)
      return false;
    patience_ = clock_.steady() + 2 * options_.election_ticks * options_.tick;
    if (!replica_.hand_over())
      return false;
    spdlog::info("hands over, as this node stops");
  }
  return clock_.steady() < *patience_;
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
