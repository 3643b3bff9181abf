#include "base/check.h"
#include "base/log.h"
#include "consensus/sequencer.h"

#include <algorithm>
#include <utility>

/// Who leads, and who takes part: coming to be primary and ceasing to be, coming back, and changing who agrees.
namespace concordat::consensus
{
namespace
{
/// For so long a node that retires keeps its vote though one that is to vote does not answer yet: it gets the ledger
/// first.
constexpr std::chrono::seconds time_to_join{30};

const Error returning{
    ErrorCode::unavailable, "this node has come back, and waits until it may take part again; reads go on", nullptr};
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
  own.outgoing = configuration.voters_outgoing;
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
  reads_.set_asks_others(primary_ && !is_alone());
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
  patient_until_ = clock_.steady() + time_to_join;
  marks_.seal_next();
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
      replica_.id(),
      std::move(agreement.configuration),
      options_.wanted(store_.committed()),
      std::move(agreement.progress),
      replica_.last_index(),
      now < patient_until_};
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
  if (change->members.size() == 1 && change->members.front().role == Role::learner && !change->joint_alone)
    patient_until_ = now + time_to_join;
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
}
