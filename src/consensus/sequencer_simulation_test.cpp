#include "consensus/test_secrets.h"

#include <cstdlib>
#include <random>

/// Random histories of several nodes: messages that are lost, doubled and late, nodes that are cut off, crash and come
/// back, one by one and after all were down, disks that fail. CONCORDAT_SEEDS says how many, CONCORDAT_SEED which one
/// alone.
namespace concordat::consensus
{
namespace
{
struct Write
{
  std::string key;
  std::optional<Result<void>> outcome;
};

struct Tally
{
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;
  std::uint64_t views = 0;
  std::uint64_t crashes = 0;
  std::uint64_t faults = 0;
  std::uint64_t stops = 0;   ///< of all at once
  std::uint64_t secrets = 0; ///< that were committed
};

class SequencerSimulation : public SecretNetworkTest
{
protected:
  void run(std::uint64_t seed, Tally& tally)
  {
    SCOPED_TRACE("CONCORDAT_SEED=" + std::to_string(seed));
    random_.seed(seed);
    seed_ = seed;
    options_.max_batch_transactions = 3;
    options_.max_bytes_in_flight = 20'000;
    options_.chunk_size = 20'000;
    with_disks_ = below(4) != 0;
    begin(below(2) == 0 ? 3 : 5);
    for (int i = 0; i < 3'000 && !HasFatalFailure(); ++i)
      act(tally);
    settle();
    if (!HasFatalFailure())
      check(tally);
  }

  void look()
  {
    for (auto& [id, one] : members_)
    {
      if (!one->sequencer)
        continue;
      if (one->sequencer->can_write())
      {
        const auto [known, fresh] = primaries_.emplace(one->sequencer->view(), id);
        ASSERT_EQ(known->second, id) << "two primaries in view " << one->sequencer->view();
      }
      const auto now = one->sequencer->committed();
      if (now == seen_[id])
        continue;
      seen_[id] = now;
      newest_view_ = std::max(newest_view_, now.view);
      const auto entry = one->sequencer->read(now.seqno);
      ASSERT_TRUE(entry) << entry.error().describe();
      const auto [known, fresh] = agreed_.emplace(now.seqno, *entry);
      ASSERT_EQ(known->second, *entry) << "nodes have committed different transactions at " << now.seqno;
    }
  }

  void act(Tally& tally)
  {
    const auto id = static_cast<EngineId>(1 + below(members_.size()));
    auto& one = member(id);
    const auto roll = below(100);
    if (!hung_.contains(id) && below(3) != 0)
      one.disk.work();
    if (roll == 0 && one.sequencer && up() > members_.size() / 2)
    {
      ++tally.crashes;
      go_down(id);
    }
    else if (roll <= 2 && !one.sequencer)
      (void)try_again(id); // a fault that is still to strike may strike now
    else if (roll == 3 && below(20) == 0 && newest_view_ != 0)
      stop_all(tally);
    else if (roll == 3 && below(10) == 0)
      (void)(unsealed_.erase(id) != 0 || unsealed_.insert(id).second);
    else if (roll == 3 && below(3) == 0)
      cut_off_.insert(id);
    else if (roll == 4 || roll == 5)
      cut_off_.erase(id);
    else if (roll == 6 && one.sequencer && below(4) == 0)
    {
      ++tally.faults;
      one.files.fail_next(below(2) == 0 ? base::DiskFault::no_space : base::DiskFault::sync_error);
    }
    else if (roll == 7 && below(8) == 0)
      hung_.insert(id);
    else if (roll == 8)
      hung_.erase(id);
    else if (roll <= 20)
      clock_.passed += options_.tick / 2;
    else if (roll <= 50 && one.sequencer)
      one.sequencer->step();
    else if (roll <= 60 && one.sequencer && one.sequencer->can_write())
      write_something(one);
    else
      travel();
    if (one.sequencer && is_broken(id))
      go_down(id);
    look();
  }

  void stop_all(Tally& tally)
  {
    ++tally.stops;
    for (const auto id : voters_)
      if (member(id).sequencer)
        go_down(id);
    raise_terms();
    stops_.push_back(member(1).durable.saved.term);
  }

  /// It was a full stop for all that start before anything is committed of a view since.
  Result<void> try_again(EngineId id)
  {
    full_stop_ = !stops_.empty() && newest_view_ <= stops_.back();
    return try_to_start(id);
  }

  void go_down(EngineId id)
  {
    // In the middle of what is being written, if anything is.
    if (with_disks_ && below(2) == 0)
    {
      member(id).files.set_crash_after(below(6));
      member(id).disk.work();
    }
    crash(id);
    seen_.erase(id);
  }

  void write_something(Member& one)
  {
    auto& made = writes_.emplace_back();
    made.key = "key" + std::to_string(writes_.size());
    const auto transaction = one.store->begin_fresh();
    transaction->put("map", made.key, std::string(below(200), 'x'));
    if (!one.sequencer->submit(*transaction, {}, [&made](const Result<void>& result) { made.outcome = result; }))
      writes_.pop_back();
  }

  /// A node whose disk has failed takes part again once it has read it anew.
  bool is_broken(EngineId id)
  {
    return sequencer(id).is_broken();
  }

  std::size_t up() const
  {
    std::size_t count = 0;
    for (const auto& [id, one] : members_)
      count += one->sequencer ? 1 : 0;
    return count;
  }

  /// One message, which may be any of those on their way.
  void travel()
  {
    if (sent_.empty())
      return;
    const auto at = sent_.begin() + static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(sent_.size(), 4)));
    if (below(30) != 0)
    {
      auto copy = *at;
      sent_.erase(at);
      hand_over(std::move(copy));
    }
    else if (below(2) == 0)
      sent_.erase(at);
    else
      hand_over(Sent(*at));
  }

  void settle()
  {
    cut_off_.clear();
    hung_.clear();
    bool written = false;
    std::string refused;
    for (int attempt = 0; attempt < 20 && !written; ++attempt)
    {
      for (auto& [id, one] : members_)
        if (!one->sequencer || is_broken(id))
        {
          seen_.erase(id);
          if (const auto started = try_again(id); !started)
            refused = "node " + std::to_string(id) + ": " + started.error().describe();
        }
      pass(30);
      look();
      for (auto& [id, one] : members_)
        if (one->sequencer && one->sequencer->can_write() && !written)
        {
          std::optional<Result<void>> last;
          if (write(id, "last", "1", last))
            pass(20);
          written = last && last->has_value() && up() == members_.size();
          for (const auto& [other, also] : members_)
            written = written && also->sequencer->committed() == one->sequencer->committed();
        }
    }
    ASSERT_TRUE(written) << "everybody is level in the end; last refusal: " << refused;
    look();
  }

  void check(Tally& tally)
  {
    const auto end = sequencer(1).committed();
    for (const auto& [id, one] : members_)
      EXPECT_EQ(one->sequencer->committed(), end) << id;
    for (const auto& made : writes_)
    {
      if (!made.outcome)
        continue;
      const bool acknowledged = made.outcome->has_value();
      for (const auto& [id, one] : members_)
      {
        const auto found = committed(id, made.key);
        if (acknowledged)
        {
          EXPECT_TRUE(found) << made.key << " was acknowledged, and node " << id << " does not have it";
        }
        else if (made.outcome->error().code == ErrorCode::lost)
        {
          EXPECT_FALSE(found) << made.key << " was said to be lost, and node " << id << " has it";
        }
      }
      ++(acknowledged ? tally.acknowledged : tally.lost);
    }
    tally.views += primaries_.size();
    check_secrets(tally);
  }

  /// All know the same, each entry lies under what is in force, and nothing that is written after a full stop lies
  /// under a secret of before.
  void check_secrets(Tally& tally)
  {
    const auto periods = known(1);
    for (const auto& [id, one] : members_)
      EXPECT_EQ(known(id), periods) << id;
    tally.secrets += periods.size() - 1;
    std::map<Seqno, View> begun;
    for (Seqno seqno = 1; seqno <= sequencer(1).committed().seqno; ++seqno)
    {
      const auto bytes = sequencer(1).read(seqno).value();
      const auto entry = ledger::parse_entry(bytes).value();
      const auto& period = member(1).secrets->period(seqno);
      EXPECT_TRUE(entry.open(*period.secret)) << seqno;
      begun.emplace(period.first, entry.txid.view);
      for (const auto stop : stops_)
        if (entry.txid.view > stop)
        {
          EXPECT_GT(begun[period.first], stop) << "entry " << seqno << " lies under a secret of before the stop";
        }
    }
  }

  std::uint64_t below(std::uint64_t end)
  {
    return random_() % end;
  }

  std::mt19937_64 random_;
  std::uint64_t seed_ = 0;
  std::deque<Write> writes_;
  std::map<View, EngineId> primaries_;
  std::map<EngineId, TxId> seen_;
  std::map<Seqno, std::string> agreed_;
  std::vector<View> stops_; ///< the highest term that anybody had seen
  View newest_view_ = 0;    ///< of what is known to be committed
};

std::uint64_t number_of(const char* name, std::uint64_t otherwise)
{
  const char* const given = std::getenv(name);
  return given != nullptr ? std::stoull(given) : otherwise;
}

/// A fixture of its own for each history.
class OneHistory : public SequencerSimulation
{
public:
  void TestBody() override {}
  using SequencerSimulation::run;
};
}

TEST(SequencerSimulations, NothingAcknowledgedIsLostAndNobodyDisagrees)
{
  const auto only = number_of("CONCORDAT_SEED", 0);
  const auto seeds = only != 0 ? 1 : number_of("CONCORDAT_SEEDS", 30);
  Tally tally;
  for (std::uint64_t i = 0; i < seeds; ++i)
  {
    OneHistory history;
    history.run(only != 0 ? only : 1 + i, tally);
    if (testing::Test::HasFailure())
      break;
  }
  std::printf(
      "%llu histories: %llu writes acknowledged, %llu told that they failed, %llu views, %llu crashes, %llu faults, "
      "%llu full stops, %llu changes of the secret\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(tally.acknowledged),
      static_cast<unsigned long long>(tally.lost), static_cast<unsigned long long>(tally.views),
      static_cast<unsigned long long>(tally.crashes), static_cast<unsigned long long>(tally.faults),
      static_cast<unsigned long long>(tally.stops), static_cast<unsigned long long>(tally.secrets));
  if (seeds >= 30)
  {
    EXPECT_GT(tally.acknowledged, 2 * seeds) << "the histories do what they are for";
    EXPECT_GT(tally.views, seeds);
    EXPECT_GT(tally.crashes, 5 * seeds);
    EXPECT_GT(tally.lost, 0U);
    EXPECT_GT(tally.stops, seeds / 2);
    EXPECT_GT(tally.secrets, seeds / 3);
  }
}
}
