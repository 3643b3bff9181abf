#include "consensus/log_archive.h"

#include "consensus/log_places.h"
#include "consensus/test_network.h"
#include "kv/write_set.h"
#include "ledger/entry.h"

/// What a node is given that has been away for longer than the others keep in memory.
namespace concordat::consensus
{
TEST(LogPlacesTest, KnowTermsAndTheNearestPlace)
{
  LogPlaces places;
  EXPECT_EQ(places.first(), 0U);
  EXPECT_FALSE(places.before(1));
  places.note(1, 2, 0);
  for (Index index = 2; index <= 1'000; ++index)
    places.note(index, 2, index);
  places.note(1'001, 5, 0);
  for (Index index = 1'002; index <= 2'000; ++index)
    places.note(index, 5, index - 1);
  EXPECT_EQ(places.first(), 2U);
  EXPECT_EQ(places.term(1), 2U);
  EXPECT_EQ(places.term(1'000), 2U);
  EXPECT_EQ(places.term(1'001), 5U);
  EXPECT_EQ(places.term(2'000), 5U);
  EXPECT_FALSE(places.term(2'001));
  for (Index index = 2; index <= 2'000; ++index)
  {
    const auto place = places.before(index);
    ASSERT_TRUE(place);
    EXPECT_LE(place->index, index);
    EXPECT_GT(place->index + 256, index);
  }
}

TEST(LogPlacesTest, StayFewAndReachAsFarBack)
{
  LogPlaces places(8);
  for (Index index = 1; index <= 100'000; ++index)
    places.note(index, 2, index);
  EXPECT_EQ(places.first(), 1U);
  std::set<Index> all;
  for (Index index = 1; index <= 100'000; ++index)
    all.insert(places.before(index)->index);
  EXPECT_LE(all.size(), 9U);
  EXPECT_GE(all.size(), 4U);
}

TEST(LogPlacesTest, NobodyCountsAcrossAGap)
{
  LogPlaces places;
  places.note(1, 2, 1);
  places.note(3, 2, 3);
  EXPECT_EQ(places.first(), 3U);
  EXPECT_FALSE(places.term(1));
  EXPECT_FALSE(places.before(1));
}

namespace
{
std::string entry_of(const ledger::LedgerSecret& secret, TxId txid, bool signature)
{
  kv::WriteSet writes;
  writes[std::string(signature ? ledger::signatures_table : "public:any")][std::string(ledger::single_key)] = "{}";
  std::string maps;
  kv::encode(writes, kv::Domain::public_maps, maps);
  return ledger::encode_entry(secret, txid, 0, {}, maps, {}).bytes;
}
}

TEST(ReadLog, EndsWhereOnlyTermsFollowThatNoBatchTellsOf)
{
  const auto secret = ledger::LedgerSecret::generate();
  const std::vector<std::string> entries{
      entry_of(secret, {2, 1}, false), entry_of(secret, {2, 2}, true), entry_of(secret, {2, 3}, true)};
  const auto read = [&](Seqno seqno) -> Result<std::string>
  {
    if (seqno > entries.size())
      return fail(ErrorCode::not_found, "the ledger ends before it");
    return entries[seqno - 1];
  };
  // Entries 6 to 8 of the log were opened behind the last batch.
  const auto found = read_log({.from = {4, 1}, .first = 4, .last = 8}, read);
  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_EQ(found->size(), 2U);
  EXPECT_EQ(found->back().index, 5U);
  EXPECT_FALSE(read_log({.from = {4, 1}, .first = 6, .last = 8}, read)) << "that is not known from here";
}

namespace
{
/// Batches of any sort: of one transaction and of several, in several views, with a change of who takes part.
class ArchiveTest : public NetworkTest
{
protected:
  void prepare(EngineId id, SequencerOptions& options) override
  {
    if (reads_elsewhere_)
      options.reader = &member(id).disk;
  }
  void grow()
  {
    options_.kept_entries = 5;
    begin(3);
    primary_ = elect();
    for (int i = 0; i < 60; ++i)
    {
      write_some(primary_, i % 3 + 1);
      if (i == 20 || i == 40)
      {
        cut_off_ = {primary_};
        const auto next = elect();
        cut_off_.clear();
        pass(10);
        primary_ = next;
      }
    }
    pass(5);
  }

  void write_some(EngineId at, int count)
  {
    std::deque<std::optional<Result<void>>> outcomes;
    for (int i = 0; i < count; ++i)
    {
      ASSERT_TRUE(write(at, "key" + std::to_string(++written_), "value", outcomes.emplace_back()));
    }
    pass(2);
    for (const auto& outcome : outcomes)
      ASSERT_TRUE(outcome && *outcome);
  }

  bool reads_elsewhere_ = false; ///< than where the steps are
  EngineId primary_ = 0;
  int written_ = 0;
};
}

class ArchivePlaceTest : public ArchiveTest, public testing::WithParamInterface<bool>
{
};

TEST_P(ArchivePlaceTest, ANodeThatWasAwayForLongCatchesUp)
{
  reads_elsewhere_ = GetParam();
  grow();
  const EngineId away = primary_ == 3 ? 2 : 3;
  member(away).sequencer.reset();
  for (int i = 0; i < 40; ++i)
    write_some(primary_, 1);
  start(away);
  pass(60);
  EXPECT_EQ(sequencer(away).committed(), sequencer(primary_).committed());
  for (int key = 1; key <= written_; ++key)
    EXPECT_TRUE(committed(away, "key" + std::to_string(key))) << key;
}

INSTANTIATE_TEST_SUITE_P(HereAndElsewhere, ArchivePlaceTest, testing::Bool());

TEST_F(ArchiveTest, SoItDoesFromAPrimaryThatStartedSince)
{
  grow();
  const EngineId away = primary_ == 3 ? 2 : 3;
  member(away).sequencer.reset();
  for (int i = 0; i < 40; ++i)
    write_some(primary_, 1);
  for (const auto id : voters_)
    if (id != away)
      member(id).sequencer.reset();
  for (const auto id : voters_)
    if (id != away)
      start(id);
  primary_ = elect();
  for (int i = 0; i < 20; ++i)
    write_some(primary_, 1);
  start(away);
  pass(60);
  EXPECT_EQ(sequencer(away).committed(), sequencer(primary_).committed());
}
}
