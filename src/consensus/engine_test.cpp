#include "consensus/engine.h"

#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <set>

namespace concordat::consensus
{
namespace
{
TEST(Descriptor, IsFixedLittleEndianAndComesBack)
{
  Descriptor descriptor{1, 0x0203, 0x040506, {}};
  descriptor.digest.fill(0xaa);
  const auto bytes = descriptor.encode();
  EXPECT_EQ(
      bytes, std::string("\1\0\0\0\0\0\0\0", 8) + std::string("\3\2\0\0\0\0\0\0", 8) +
                 std::string("\6\5\4\0\0\0\0\0", 8) + std::string(32, '\xaa'));
  const auto back = Descriptor::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, descriptor);
}

TEST(Descriptor, RefusesOtherLengthsAndImpossibleRanges)
{
  EXPECT_EQ(Descriptor::decode("").error().code, ErrorCode::invalid);
  EXPECT_EQ(Descriptor::decode(std::string(55, 1)).error().code, ErrorCode::invalid);
  EXPECT_EQ(Descriptor::decode(std::string(57, 1)).error().code, ErrorCode::invalid);
  for (const Descriptor& wrong :
       {Descriptor{0, 1, 1, {}}, Descriptor{2, 1, 1, {}}, Descriptor{1, 1, 0, {}},
        Descriptor{1, std::uint64_t{1} << 63, 1, {}}})
    EXPECT_EQ(Descriptor::decode(wrong.encode()).error().code, ErrorCode::invalid);
}

TEST(Engine, RefusesOptionsThatCannotBe)
{
  RaftLog log;
  const auto code = [&](auto change)
  {
    EngineOptions options;
    options.hard_state.term = 1;
    change(options);
    auto made = Engine::create(options, log);
    return made ? std::optional<ErrorCode>() : made.error().code;
  };
  EXPECT_EQ(code([](EngineOptions&) {}), std::nullopt);
  EXPECT_EQ(code([](EngineOptions& o) { o.id = 0; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.configuration.voters = {}; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.configuration.voters = {0, 1}; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.configuration.voters = {1, 2, 2}; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.heartbeat_ticks = 0; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.election_ticks = 1; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_inflight_messages = 0; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_inflight_messages = (1 << 16) + 1; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_message_entries = 0; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_message_entries = 2731; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_message_batches = 0; }), ErrorCode::invalid);
  EXPECT_EQ(code([](EngineOptions& o) { o.max_waiting = 0; }), ErrorCode::invalid);
}

TEST(Engine, RefusesAHardStateThatDoesNotFitTheLog)
{
  RaftLog log;
  log.append(std::vector<LogEntry>{{1, 2, std::nullopt}, {2, 3, batch(1)}});
  const auto code = [&](HardState state, Index applied)
  {
    EngineOptions options;
    options.hard_state = state;
    options.applied = applied;
    auto made = Engine::create(options, log);
    return made ? std::optional<ErrorCode>() : made.error().code;
  };
  EXPECT_EQ(code({3, 1, 2}, 2), std::nullopt);
  EXPECT_EQ(code({3, 1, 0}, 2), std::nullopt) << "the commit index may be behind";
  EXPECT_EQ(code({2, 1, 2}, 2), ErrorCode::corrupt) << "a term below that of the log";
  EXPECT_EQ(code({3, 1, 3}, 2), ErrorCode::corrupt) << "more committed than there is";
  EXPECT_EQ(code({3, 1, 2}, 3), ErrorCode::corrupt) << "more applied than there is";
  log.compact(2);
  EXPECT_EQ(code({3, 1, 2}, 1), ErrorCode::corrupt) << "applied up to before the log begins";
}

TEST(Engine, TakesTheTermOfASnapshotThatIsNewerThanItsHardState)
{
  RaftLog log(7, 5);
  EngineOptions options;
  options.configuration.voters = {1, 2, 3};
  options.hard_state = {2, 3, 1};
  auto engine = Engine::create(options, log);
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->term(), 5U);
  EXPECT_EQ((*engine)->commit(), 7U);
  EXPECT_FALSE((*engine)->has_ready());
}

TEST(SingleVoter, LeadsViewTwoWithAnEmptyEntryAndCommitsWhatItProposes)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 0);
  EXPECT_FALSE(node.engine->leads());
  EXPECT_EQ(node.engine->propose(batch(1)).error().code, ErrorCode::unavailable);

  ASSERT_TRUE(node.engine->campaign());
  EXPECT_TRUE(node.engine->leads());
  EXPECT_EQ(node.engine->term(), 2U);
  EXPECT_EQ(node.engine->leader(), 1U);
  node.drain_alone();
  EXPECT_EQ(node.hard_state.term, 2U);
  EXPECT_EQ(node.hard_state.vote, 1U);
  EXPECT_EQ(node.committed, (std::vector<LogEntry>{{1, 2, std::nullopt}}));

  ASSERT_TRUE(node.engine->propose(batch(7)));
  ASSERT_TRUE(node.engine->has_ready());
  const auto round = node.engine->ready();
  const std::vector<LogEntry> expected{{2, 2, batch(7)}};
  EXPECT_EQ(round.entries, expected);
  EXPECT_TRUE(round.committed.empty());
  node.log.append(round.entries);
  const auto more = node.engine->advance();
  EXPECT_EQ(more.committed, expected);
  EXPECT_EQ(node.engine->commit(), 2U);
  ASSERT_TRUE(more.hard_state);
  EXPECT_EQ(*more.hard_state, (HardState{2, 1, 2}));
  EXPECT_FALSE(node.engine->has_ready());
}

TEST(SingleVoter, ElectsItselfWhenTimePasses)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 0);
  for (int i = 0; i < 20 && !node.engine->leads(); ++i)
    node.engine->tick();
  EXPECT_TRUE(node.engine->leads());
}

TEST(SingleVoter, GoesOnInALaterTermAfterARestart)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 0);
  ASSERT_TRUE(node.engine->campaign());
  node.drain_alone();
  for (std::uint64_t i = 1; i <= 10; ++i)
  {
    ASSERT_TRUE(node.engine->propose(batch(i)));
    node.drain_alone();
  }
  const auto before = node.committed;

  node.start({1}, 0);
  EXPECT_EQ(node.engine->term(), 2U);
  ASSERT_TRUE(node.engine->campaign());
  node.drain_alone();
  EXPECT_EQ(node.engine->term(), 3U);
  ASSERT_EQ(node.committed.size(), before.size() + 1);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), node.committed.begin()));
  EXPECT_EQ(node.committed.back(), (LogEntry{12, 3, std::nullopt}));
}

TEST(SingleVoter, HandsOutNothingAgainThatWasApplied)
{
  RaftLog log;
  log.append(std::vector<LogEntry>{{1, 2, std::nullopt}, {2, 2, batch(1)}, {3, 2, batch(2)}});
  EngineOptions options;
  options.hard_state = {2, 1, 3};
  options.applied = 2;
  auto engine = Engine::create(options, log);
  ASSERT_TRUE(engine);
  ASSERT_TRUE((*engine)->has_ready());
  EXPECT_EQ((*engine)->ready().committed, (std::vector<LogEntry>{{3, 2, batch(2)}}));
  (*engine)->advance();
  EXPECT_FALSE((*engine)->has_ready());
}

TEST(SingleVoter, BoundsWhatWaitsToBeCommitted)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 0);
  ASSERT_TRUE(node.engine->campaign());
  node.drain_alone();
  Result<void> outcome;
  for (std::uint64_t i = 1; i <= 100'000 && outcome; ++i)
    outcome = node.engine->propose(batch(i));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::limit);
  node.drain_alone();
  EXPECT_TRUE(node.engine->propose(batch(100'001)));
}

TEST(SingleVoter, AnswersReadIndexAtOnceButOnlyWhileItLeads)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 0);
  EXPECT_EQ(node.engine->read_index(5).error().code, ErrorCode::unavailable);
  ASSERT_TRUE(node.engine->campaign());
  EXPECT_EQ(node.engine->read_index(5).error().code, ErrorCode::unavailable) << "its first entry is not committed";
  node.drain_alone();
  ASSERT_TRUE(node.engine->read_index(5));
  node.drain_alone();
  EXPECT_EQ(node.reads, (std::vector<ReadIndex>{{5, 1}}));
}

TEST(Engine, CannotCampaignWithoutAVote)
{
  RaftLog log;
  EngineOptions options;
  options.id = 4;
  options.configuration.voters = {1, 2, 3};
  options.hard_state.term = 1;
  auto engine = Engine::create(options, log);
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->campaign().error().code, ErrorCode::unavailable);
  EXPECT_FALSE((*engine)->has_ready());
}

TEST(Engine, TakesItsTimeoutsFromTheSeed)
{
  const auto ticks_to_vote = [](std::uint64_t seed)
  {
    TestNode node;
    node.id = 1;
    node.start({1, 2, 3}, seed);
    int ticks = 0;
    for (; !node.engine->has_ready(); ++ticks)
      node.engine->tick();
    return ticks;
  };
  std::set<int> seen;
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
  {
    EXPECT_EQ(ticks_to_vote(seed), ticks_to_vote(seed)) << "seed " << seed;
    seen.insert(ticks_to_vote(seed));
  }
  EXPECT_GE(*seen.begin(), 10);
  EXPECT_LT(*seen.rbegin(), 20);
  EXPECT_GT(seen.size(), 4U);
}
}
}
