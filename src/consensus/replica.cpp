#include "consensus/replica.h"

#include "base/check.h"
#include "base/log.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace concordat::consensus
{
Replica::Replica(
    ReplicaOptions options, const base::Clock& clock, DurableStateFile& file, const DurableState& durable,
    LedgerWriter& ledger, Outbox* outbox, RestoredLog log, Seqno last_seqno, Events events, Invariants* invariants)
    : options_(std::move(options)),
      id_(options_.id),
      clock_(clock),
      promises_(file, durable),
      ledger_(ledger),
      outbox_(outbox),
      events_(std::move(events)),
      invariants_(invariants),
      disk_(promises_, ledger, options_.disk, options_.stored, invariants),
      log_(log.base, log.base_term),
      archive_(
          log_, std::move(log.places), [&ledger](Seqno seqno) { return ledger.read(seqno); }, options_.reader),
      configuration_(std::move(log.configuration)),
      applied_(log.applied),
      applied_seqno_(last_seqno),
      in_flight_(std::move(log.batches))
{
  log_.append(log.entries);
  for (const auto& [index, batch] : in_flight_)
    bytes_in_flight_ += batch->descriptor.length;
}

Result<void> Replica::start()
{
  return start_engine(0);
}

Result<void> Replica::start_again(EngineId id, View term, EngineId votes_for)
{
  const auto again = [&](DurableState& state)
  {
    state.engine_id = id;
    // Whatever it voted for was in an earlier term, or under another id.
    state.term = std::max(term, state.term);
    state.vote = 0;
  };
  // Before it says a word under this id: after a crash it must not take itself for another.
  if (auto saved = promises_.change(again); !saved)
    return fail("cannot store under which number this node takes part", saved.error());
  id_ = id;
  level_from_.reset();
  if (votes_for != 0)
    level_from_ = term;
  return start_engine(votes_for);
}

void Replica::vote_for(EngineId id)
{
  engine_->vote_for(id);
}

Result<void> Replica::learn_committed(LogPosition committed)
{
  if (committed.index <= applied_ || log_.term(committed.index) != committed.term)
    return {};
  learned_ = std::max(learned_, committed);
  if (!engine_)
    return {};
  engine_->learn_committed(committed);
  return drain();
}

void Replica::be_level()
{
  level_from_.reset();
  engine_->take_part();
}

bool Replica::may_rest() const
{
  return unstored_.empty() && !disk_.is_busy();
}

void Replica::rest()
{
  CHECK(may_rest(), "what is being stored is counted by the rounds of this engine");
  disk_.drop();
  held_.clear();
  engine_.reset();
  lose_reads();
}

bool Replica::is_confirmed_without(EngineId id) const
{
  if (!leads())
    return false;
  const auto progress = engine_->progress();
  const auto answers = [&](EngineId one)
  {
    return one == id_ ||
           std::ranges::any_of(progress, [&](const PeerProgress& peer) { return peer.id == one && peer.active; });
  };
  const auto is_majority = [&](const std::vector<EngineId>& voters)
  { return 2 * std::ranges::count_if(voters, answers) > std::ssize(voters); };
  return !answers(id) && is_majority(configuration_.voters) &&
         (!configuration_.joint() || is_majority(configuration_.voters_outgoing));
}

LogPosition Replica::last() const
{
  const auto index = log_.last_index();
  return {log_.term(index).value_or(0), index};
}

LogPosition Replica::last_applied() const
{
  return {log_.term(applied_).value_or(0), applied_};
}

std::vector<EngineId> Replica::coming_voters() const
{
  std::vector<EngineId> voters;
  for (auto index = applied_ + 1; index <= log_.last_index(); ++index)
    if (const auto entry = log_.entry(index); entry.change)
      for (const auto& member : entry.change->members)
        if (member.role == Role::voter)
          voters.push_back(member.id);
  return voters;
}

/// With an entry of the leader's own term it has all that the leader had when it was elected.
void Replica::look_whether_level()
{
  if (level_from_ && last().term >= *level_from_)
    be_level();
}

Result<void> Replica::start_engine(EngineId votes_for)
{
  CHECK(!engine_, "an engine is ended before another one begins");
  EngineOptions options;
  options.id = id_;
  options.observes = level_from_.has_value();
  options.votes_for = votes_for;
  options.configuration = configuration_;
  options.election_ticks = options_.election_ticks;
  options.heartbeat_ticks = options_.heartbeat_ticks;
  options.seed = options_.seed;
  promised_ = durable();
  options.hard_state = {promised_.term, promised_.vote, applied_};
  options.applied = applied_;
  auto engine = Engine::create(options, archive_);
  if (!engine)
    return std::unexpected(engine.error());
  engine_ = std::move(*engine);
  next_tick_ = clock_.steady() + options_.tick;
  engine_->learn_committed(learned_);
  return drain();
}

Result<void> Replica::campaign()
{
  if (auto started = engine_->campaign(); !started)
    return started;
  return drain();
}

Result<void> Replica::propose(std::shared_ptr<const Batch> batch)
{
  const auto descriptor = batch->descriptor;
  const auto change = batch->change;
  // Held from here on, so that `abandon` gives it back whatever happens.
  held_.push_back(std::move(batch));
  if (auto proposed = change ? engine_->propose_change(descriptor, *change) : engine_->propose(descriptor); !proposed)
    return std::unexpected(proposed.error());
  return drain();
}

Result<void> Replica::receive(std::string_view message, std::span<const std::shared_ptr<const Batch>> batches)
{
  const auto summary = Engine::inspect(message);
  if (!summary)
    return std::unexpected(summary.error());
  std::vector<std::shared_ptr<const Batch>> named;
  for (const auto& entry : summary->entries)
  {
    if (!entry.batch)
      continue;
    const auto same = [&](const std::shared_ptr<const Batch>& batch) { return batch->descriptor == *entry.batch; };
    const auto found = std::ranges::find_if(batches, same);
    if (found != batches.end())
      named.push_back(*found);
    else if (log_.term(entry.index) != entry.term)
      return fail(
          ErrorCode::not_found, "the message names the batch from " + std::to_string(entry.batch->first) + " to " +
                                    std::to_string(entry.batch->last) + ", which did not come with it");
  }
  // A primary sends on, little by little, to one who answers heartbeats and stores nothing.
  if (!named.empty() && disk_.bytes_waiting() > options_.max_unstored_bytes)
    return fail(ErrorCode::limit, "too much waits for the disk to take more");
  // Batches go to the disk only as the engine's round says. Stored before the message is stepped, a late message of a
  // primary that was deposed would cut what has been acknowledged.
  const auto before = held_.size();
  held_.insert(held_.end(), named.begin(), named.end());
  const auto stepped = engine_->step(message);
  if (stepped && summary->from == engine_->leader())
    heard_leader_ = clock_.steady();
  auto drained = stepped ? drain() : stepped;
  // What the engine did not take into its log is of no use to anybody.
  if (engine_ && held_.size() > before)
    held_.resize(before);
  return drained;
}

Result<void> Replica::tick()
{
  if (!engine_)
    return {};
  const auto now = clock_.steady();
  // After a long pause (a suspended machine) an election time-out's worth is as good as all of them.
  for (unsigned ticks = 0; now >= next_tick_ && ticks <= options_.election_ticks; ++ticks)
  {
    next_tick_ += options_.tick;
    watch_disk();
    engine_->tick();
    if (auto drained = drain(); !drained)
      return drained;
  }
  next_tick_ = std::max(next_tick_, now);
  return {};
}

void Replica::read(std::uint64_t token)
{
  CHECK(!asked_.contains(token), "a token is not used again before it is answered");
  asked_.insert(token);
  // The answer comes in a round of this event or a later one; a refusal is an answer too.
  if (!engine_ || !engine_->read_index(token) || !drain())
  {
    if (asked_.erase(token) != 0 && events_.read)
      events_.read(token, false);
  }
}

Result<void> Replica::seal(const Mark& mark, Index index)
{
  if (auto saved = promises_.change([&mark](DurableState& state) { state.mark = mark; }); !saved)
    return saved;
  marked_ = index;
  return {};
}

void Replica::name_committed(Seqno seqno)
{
  if (stores_elsewhere())
    disk_.name_committed(seqno);
  else
    ledger_.commit(seqno);
}

std::vector<std::shared_ptr<const Batch>> Replica::abandon()
{
  std::vector<std::shared_ptr<const Batch>> lost;
  for (auto& [index, batch] : in_flight_)
    lost.push_back(std::move(batch));
  lost.insert(lost.end(), held_.begin(), held_.end());
  for (auto& [index, batch] : replaced_)
    lost.push_back(std::move(batch));
  replaced_.clear();
  unstored_.clear();
  disk_.drop();
  in_flight_.clear();
  bytes_in_flight_ = 0;
  held_.clear();
  engine_.reset();
  lose_reads();
  // The log goes on from what is committed, as the ledger does after it is opened anew. A node that is not alone may
  // have told others that it stores more: it needs what is in the ledger, and gets it by starting again.
  if (configuration_.is_alone(id_))
  {
    log_.reset(applied_, *log_.term(applied_));
    if (invariants_)
      invariants_->replaced(applied_ + 1);
  }
  return lost;
}

bool Replica::leads() const
{
  return engine_ && engine_->leads();
}

bool Replica::hears_leader() const
{
  return leads() || (leader() != 0 && clock_.steady() < heard_leader_ + options_.election_ticks * options_.tick);
}

bool Replica::may_write() const
{
  if (!leads())
    return false;
  const auto opened = promised_.last_opened();
  return opened.term == engine_->term() && applied_ >= opened.index;
}

bool Replica::may_propose() const
{
  return leads() && engine_->handing_over_to() == 0;
}

bool Replica::may_change() const
{
  return may_propose() && may_write() && !engine_->change_pending();
}

bool Replica::hand_over()
{
  if (!may_propose())
    return false;
  const auto& voters = configuration_.voters;
  EngineId best = 0;
  Index most = 0;
  for (const auto& peer : engine_->progress())
    if (peer.active && peer.matched >= most && std::ranges::binary_search(voters, peer.id))
    {
      best = peer.id;
      most = peer.matched;
    }
  return best != 0 && engine_->transfer_leadership(best) && drain();
}

Result<void> Replica::step_down()
{
  engine_->step_down();
  return drain();
}

Result<void> Replica::join_others()
{
  if (auto saved = promises_.change([](DurableState& state) { state.several = true; }); !saved)
    return fail("cannot store that other nodes take part", saved.error());
  return {};
}

std::vector<OpenedTerm> Replica::opened_last() const
{
  std::vector<OpenedTerm> out;
  for (auto index = log_.last_index(); index >= log_.first_index() && out.size() < LogRecord::max_opened; --index)
  {
    const auto entry = log_.entry(index);
    if (entry.batch)
      break;
    out.insert(out.begin(), {entry.term, entry.index});
  }
  return out;
}

View Replica::term() const
{
  // A sealed state that was put back may be older than the ledger.
  return engine_ ? engine_->term() : std::max(durable().term, last().term);
}

/// Of the last batch up to an index, as far as the log is in memory.
Seqno Replica::seqno_at(Index index) const
{
  for (auto at = std::min(index, log_.last_index()); at >= log_.first_index(); --at)
    if (const auto entry = log_.entry(at); entry.batch)
      return entry.batch->last;
  return 0;
}

Agreement Replica::agreement() const
{
  Agreement out;
  out.view = term();
  out.self = id_;
  out.configuration = configuration_;
  if (!engine_)
    return out;
  out.leader = engine_->leader();
  out.progress = engine_->progress();
  for (auto& other : out.progress)
    other.seqno = seqno_at(other.matched);
  return out;
}

std::vector<std::shared_ptr<const Batch>> Replica::in_flight() const
{
  std::vector<std::shared_ptr<const Batch>> out;
  out.reserve(in_flight_.size() + replaced_.size());
  for (const auto& [index, batch] : in_flight_)
    out.push_back(batch);
  for (const auto& [index, batch] : replaced_)
    out.push_back(batch);
  return out;
}

std::shared_ptr<const Batch> Replica::batch(const Descriptor& descriptor) const
{
  for (const auto& held : held_)
    if (held->descriptor == descriptor)
      return held;
  for (const auto& [index, batch] : in_flight_)
    if (batch->descriptor == descriptor)
      return batch;
  return nullptr;
}
}
