#include "consensus/readmission.h"

#include "consensus/test_network.h"

#include <algorithm>

namespace concordat::consensus
{
namespace
{
/// Three nodes that were started before, and whose disks may be put back. The tables say who should take part.
class ReadmissionTest : public NetworkTest
{
protected:
  ReadmissionTest()
  {
    options_.wanted = [this](const kv::Snapshot& committed)
    {
      std::vector<EngineId> out;
      for (const auto name : voters_)
        out.push_back(block_changes_ ? name : number_of(committed, name));
      std::ranges::sort(out);
      return out;
    };
    options_.readmit = [this](const kv::Snapshot& committed, const std::string& node, std::uint64_t start, bool give)
    {
      kv::SnapshotTransaction state(committed);
      std::optional<EngineId> out;
      if (state.get("starts", node) == std::to_string(start))
        out = std::stoull(std::string(*state.get("numbers", node)));
      else if (give)
        waiting_[node] = start;
      return out;
    };
    begin(3);
    comes_back_ = true;
  }

  static EngineId number_of(const kv::Snapshot& committed, EngineId name)
  {
    kv::SnapshotTransaction state(committed);
    const auto number = state.get("numbers", std::to_string(name));
    return number ? std::stoull(std::string(*number)) : name;
  }

  /// What the primary does for those that have called.
  void give_numbers()
  {
    for (auto& [name, one] : members_)
    {
      if (!one->sequencer || !one->sequencer->can_write())
        continue;
      for (const auto& [node, start] : std::exchange(waiting_, {}))
      {
        const auto transaction = one->store->begin_fresh();
        if (transaction->get("starts", node) == std::to_string(start))
          continue;
        transaction->put("starts", node, std::to_string(start));
        transaction->put("numbers", node, std::to_string(++last_number_));
        (void)one->sequencer->submit(*transaction, {}, {});
      }
      return;
    }
  }

  void go(int ticks)
  {
    for (int i = 0; i < ticks; ++i)
    {
      pass(1);
      give_numbers();
    }
  }

  /// Writes at whoever is primary, and is told that it is committed.
  bool put(const std::string& key)
  {
    const auto primary = elect();
    std::optional<Result<void>> outcome;
    if (primary == 0 || !write(primary, key, "value", outcome))
      return false;
    pass(3);
    return outcome && *outcome;
  }

  bool any_primary()
  {
    return std::ranges::any_of(
        members_, [](const auto& one) { return one.second->sequencer && one.second->sequencer->can_write(); });
  }

  struct Copy
  {
    std::map<std::string, std::string> files;
    DurableState durable;
  };

  Copy copy(EngineId name)
  {
    Copy out{{}, member(name).durable.saved};
    auto& files = member(name).files;
    const auto names = files.list("ledger").value();
    for (const auto& file : names)
      out.files[file] = files.read("ledger/" + file).value();
    return out;
  }

  /// The machine is off, and its disk is an older copy.
  void put_back(EngineId name, const Copy& old)
  {
    auto& one = member(name);
    one.sequencer.reset();
    const auto names = one.files.list("ledger").value();
    for (const auto& file : names)
      ASSERT_TRUE(one.files.remove("ledger/" + file));
    for (const auto& [file, content] : old.files)
      ASSERT_TRUE(one.files.replace("ledger/" + file, content));
    ASSERT_TRUE(one.files.sync_directory("ledger"));
    one.durable.saved = old.durable;
    // Whatever it does from here on, it cannot know of what it did.
    one.invariants = std::make_unique<Invariants>();
  }

  std::map<std::string, std::uint64_t> waiting_;
  EngineId last_number_ = 3;
  bool block_changes_ = false; ///< who takes part stays as it was at first
};
}

namespace
{
/// Keeps what a node has called.
struct Roll : Peers
{
  void send(EngineId, std::string, std::vector<std::shared_ptr<const Batch>>) override {}
  void call_roll(const std::string& presence) override
  {
    called = Presence::decode(presence).value();
  }
  void answer_roll(const std::string&, const std::string&) override {}
  std::vector<EngineId> ids_of(const std::string&) const override
  {
    return {};
  }
  void takes_part_as(EngineId) override {}

  Presence called;
};
}

TEST(Readmission, UnderANumberThatItWasGivenForAnEarlierStartANodeTakesNoPart)
{
  Roll roll;
  Readmission readmission(&roll, {}, std::chrono::milliseconds(1), std::chrono::seconds(1));
  std::chrono::steady_clock::time_point now;
  readmission.begin({.start = 7}, now);
  kv::Store store;
  const auto committed = store.committed();
  const Configuration configuration{.voters = {1, 2, 3}};
  const auto step = [&]
  {
    now += std::chrono::milliseconds(1);
    Presence own;
    own.id = 3;
    own.term = 2;
    own.last = own.applied = {2, 5};
    own.voters = configuration.voters;
    (void)readmission.step(
        {.own = own,
         .may_admit = [](EngineId) { return false; },
         .lonely = true,
         .committed = committed,
         .configuration = configuration,
         .now = now});
  };
  step();
  EXPECT_EQ(roll.called.id, 3U);
  EXPECT_FALSE(roll.called.returning);
  Presence answer;
  answer.start = 1;
  answer.answers = 7;
  answer.id = 1;
  answer.receiver = 4;
  readmission.hear("1", answer.encode());
  step();
  step();
  EXPECT_EQ(roll.called.id, 4U);
  EXPECT_TRUE(roll.called.returning) << "else nobody would give it one for this start";
}

TEST_F(ReadmissionTest, APutBackDiskDoesNotLoseWhatItsNodeAcknowledged)
{
  comes_back_ = false;
  ASSERT_TRUE(put("before"));
  go(60);
  const auto primary = elect();
  const EngineId other = primary == 1 ? 2 : 1;
  const auto third = 6 - primary - other;
  const auto old = copy(other);
  cut_off_ = {third};
  ASSERT_TRUE(put("acknowledged"));
  // Of the two that have stored it one is off, and the other has an older disk. With the third, which never had it,
  // that one is a majority.
  crash(primary);
  put_back(other, old);
  cut_off_ = {};
  comes_back_ = true;
  start(other);
  go(100);
  EXPECT_FALSE(any_primary());
  EXPECT_EQ(sequencer(other).agreement().leader, 0U);

  start(primary);
  go(60);
  ASSERT_TRUE(put("after"));
  go(20);
  for (const EngineId name : {1, 2, 3})
    EXPECT_EQ(committed(name, "acknowledged"), "value") << name;
}

TEST_F(ReadmissionTest, ThePrimaryGivesANewNumber)
{
  ASSERT_TRUE(put("before"));
  const auto primary = elect();
  const EngineId back = primary == 1 ? 2 : 1;
  crash(back);
  ASSERT_TRUE(put("meanwhile"));
  start(back);
  go(100);
  EXPECT_EQ(sequencer(back).agreement().self, 4U);
  EXPECT_EQ(member(back).durable.saved.engine_id, 4U);
  const auto configuration = sequencer(primary).agreement().configuration;
  EXPECT_EQ(configuration.voters.size(), 3U);
  EXPECT_EQ(configuration.role(4), Role::voter);
  EXPECT_EQ(configuration.role(back), Role::none);
  EXPECT_EQ(committed(back, "meanwhile"), "value");
  // It counts again: the third is not needed.
  crash(6 - primary - back);
  EXPECT_TRUE(put("with it"));
  // And once more.
  start(6 - primary - back);
  go(100);
  EXPECT_EQ(sequencer(6 - primary - back).agreement().self, 5U);
}

TEST_F(ReadmissionTest, WhoIsReadmittedCountsOnlyUnderItsNewNumber)
{
  ASSERT_TRUE(put("before"));
  const auto primary = elect();
  const EngineId back = primary == 1 ? 2 : 1;
  const auto third = 6 - primary - back;
  crash(back);
  crash(third);
  start(back);
  go(100);
  // Two of three are up, and one of them may have forgotten.
  EXPECT_FALSE(any_primary());
  start(third);
  go(60);
  EXPECT_TRUE(put("after"));
}

TEST_F(ReadmissionTest, ANewNumberCountsOnlyWhenTheOldOneIsOut)
{
  ASSERT_TRUE(put("before"));
  go(60);
  const auto primary = elect();
  const EngineId back = primary == 1 ? 2 : 1;
  const auto third = 6 - primary - back;
  crash(back);
  go(30);
  // It is given a new number; before the old one is out of the agreement, another node is gone.
  block_changes_ = true;
  start(back);
  go(50);
  EXPECT_EQ(number_of(member(primary).store->committed(), back), 4U);
  EXPECT_EQ(member(back).durable.saved.engine_id, 0U);
  crash(third);
  go(60);
  EXPECT_FALSE(any_primary());
  start(third);
  go(60);
  EXPECT_TRUE(put("after"));
  // Once nothing is in the way, it takes part under the new one.
  block_changes_ = false;
  go(300);
  EXPECT_EQ(sequencer(back).agreement().self, 4U);
  EXPECT_TRUE(put("in the end"));
}

TEST_F(ReadmissionTest, AfterAFullStopEveryVoterIsWaitedFor)
{
  ASSERT_TRUE(put("before"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  start(1);
  go(60);
  start(2);
  go(60);
  EXPECT_FALSE(any_primary());
  start(3);
  go(60);
  EXPECT_TRUE(put("after"));
  go(60);
  for (const EngineId name : {1, 2, 3})
  {
    EXPECT_EQ(committed(name, "before"), "value") << name;
    EXPECT_EQ(sequencer(name).agreement().self, name) << "nobody needed another number";
  }
}

TEST_F(ReadmissionTest, WhoComesBackVotesInNoTermThatAnybodyHasSeen)
{
  ASSERT_TRUE(put("before"));
  go(60);
  View seen = 0;
  for (const EngineId name : {1, 2, 3})
  {
    seen = std::max(seen, member(name).durable.saved.term);
    crash(name);
  }
  // It has forgotten its votes.
  member(2).durable.saved.term -= 1;
  for (const EngineId name : {1, 2, 3})
    start(name);
  pass(3);
  for (const EngineId name : {1, 2, 3})
    EXPECT_GT(member(name).durable.saved.term, seen) << name;
}

TEST_F(ReadmissionTest, AfterAFullStopTheNewestLogWinsOverADiskThatWasPutBack)
{
  ASSERT_TRUE(put("before"));
  go(60);
  const auto old = copy(2);
  const auto primary = elect();
  const EngineId left = primary == 3 ? 1 : 3;
  if (primary != 2)
    cut_off_ = {left};
  ASSERT_TRUE(put("acknowledged"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  put_back(2, old);
  cut_off_ = {};
  for (const EngineId name : {2, 3, 1})
    start(name);
  go(100);
  EXPECT_TRUE(put("after"));
  go(20);
  for (const EngineId name : {1, 2, 3})
    EXPECT_EQ(committed(name, "acknowledged"), "value") << name;
}

TEST_F(ReadmissionTest, TheOperatorMayGoOnWithoutAVoter)
{
  ASSERT_TRUE(put("before"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  accept_loss_ = true;
  start(1);
  go(200);
  EXPECT_FALSE(any_primary()) << "one of three is no majority";
  start(2);
  go(200);
  EXPECT_TRUE(put("after"));
  EXPECT_EQ(committed(1, "before"), "value");
}

TEST_F(ReadmissionTest, WhoHelpsGoesOnWithAnotherWhenTheNewestIsGone)
{
  ASSERT_TRUE(put("before"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  for (const EngineId name : {1, 2, 3})
    start(name);
  // They have agreed whom to help, and it dies.
  pass(1);
  crash(3);
  go(40);
  start(3);
  go(100);
  EXPECT_TRUE(put("after"));
  go(60);
  for (const EngineId name : {1, 2, 3})
    EXPECT_EQ(committed(name, "after"), "value") << name;
}

TEST_F(ReadmissionTest, ACallOfANodeThatStillAnswersChangesNothing)
{
  ASSERT_TRUE(put("before"));
  const auto primary = elect();
  const EngineId other = primary == 1 ? 2 : 1;
  Presence forged;
  forged.start = 99;
  forged.id = other;
  sequencer(primary).hear(std::to_string(other), forged.encode());
  go(20);
  EXPECT_EQ(sequencer(primary).agreement().configuration, (Configuration{.voters = {1, 2, 3}}));
}

TEST_F(ReadmissionTest, WhoIsGivenANumberAfterItTakesPartAlreadyTakesThatOne)
{
  ASSERT_TRUE(put("before"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  for (const EngineId name : {1, 2, 3})
    start(name);
  const auto primary = elect();
  go(5);
  const EngineId other = primary == 1 ? 2 : 1;
  ASSERT_EQ(sequencer(other).agreement().self, other);
  // A call from before it was level has been late.
  waiting_[std::to_string(other)] = other;
  go(200);
  EXPECT_EQ(sequencer(other).agreement().self, 4U);
  EXPECT_EQ(sequencer(primary).agreement().configuration.role(4), Role::voter);
  EXPECT_TRUE(put("after"));
  EXPECT_EQ(committed(other, "after"), "value");
}

TEST_F(ReadmissionTest, WhoseNumberWasGivenAwayForAnEarlierStartGetsAnother)
{
  ASSERT_TRUE(put("before"));
  for (const EngineId name : {1, 2, 3})
    crash(name);
  for (const EngineId name : {1, 2, 3})
    start(name);
  const auto primary = elect();
  go(5);
  const EngineId other = primary == 1 ? 2 : 1;
  waiting_[std::to_string(other)] = 99; // which has ended
  go(300);
  EXPECT_EQ(sequencer(other).agreement().self, 5U);
  EXPECT_EQ(sequencer(primary).agreement().configuration.role(5), Role::voter);
  EXPECT_EQ(sequencer(primary).agreement().configuration.voters.size(), 3U);
}

TEST_F(ReadmissionTest, NonsenseIsDropped)
{
  const auto primary = elect();
  sequencer(primary).hear("2", "nonsense");
  sequencer(primary).hear("2", "");
  EXPECT_TRUE(put("after"));
}
}
