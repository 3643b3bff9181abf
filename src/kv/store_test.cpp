#include "kv/store.h"

#include "kv/test_random.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

namespace concordat::kv
{
namespace
{
constexpr auto map = "public:records";
using Pairs = std::vector<std::pair<std::string, std::string>>;

Result<Seqno> commit(Store& store, const std::unique_ptr<WriteTransaction>& tx)
{
  return store.commit(*tx, {});
}

/// Writes in a transaction of its own, over the head; later ones begin behind it.
void write(Store& store, std::string_view name, const Pairs& puts)
{
  const auto tx = store.begin_fresh();
  for (const auto& [key, value] : puts)
    tx->put(name, key, value);
  ASSERT_TRUE(commit(store, tx));
  store.begin_fresh();
}

Pairs all(Cursor& cursor)
{
  Pairs found;
  while (cursor.next())
    found.emplace_back(cursor.key(), cursor.value());
  return found;
}

bool refused(const Result<Seqno>& result)
{
  return !result && result.error().code == ErrorCode::conflict;
}
}

TEST(State, KeepsVersionsOfKeysAndMaps)
{
  State state;
  WriteSet first;
  first["b"]["k"] = "1";
  first["a"]["k"] = "2";
  state.apply(first, 3);
  WriteSet second;
  second["b"]["k"] = std::nullopt;
  second["b"]["absent"] = std::nullopt;
  second["c"]["only removed"] = std::nullopt;
  state.apply(second, 5);

  EXPECT_EQ(state.seqno(), 5U);
  ASSERT_EQ(state.maps().size(), 3U);
  EXPECT_EQ(state.maps()[0].name, "a");
  EXPECT_EQ(state.find("a")->version, 3U);
  EXPECT_EQ(state.find("a")->tree.find("k")->version, 3U);
  EXPECT_EQ(state.find("b")->version, 5U);
  EXPECT_EQ(state.find("b")->tree.size(), 0U);
  EXPECT_EQ(state.find("c")->version, 5U);
  EXPECT_EQ(state.find("d"), nullptr);

  // A reservation is filled after later transactions.
  WriteSet late;
  late["b"]["late"] = "x";
  state.apply(late, 4);
  EXPECT_EQ(state.seqno(), 5U);
  EXPECT_EQ(state.find("b")->version, 5U);
  EXPECT_EQ(state.find("b")->tree.find("late")->version, 4U);
}

TEST(State, IsRestoredFromASnapshot)
{
  State state;
  state.restore_map("m", 7).put("k", 5, "v");
  state.restore_map("empty", 2);
  state.restore_seqno(9);
  EXPECT_EQ(state.seqno(), 9U);
  EXPECT_EQ(state.find("m")->version, 7U);
  EXPECT_EQ(state.find("m")->tree.find("k")->version, 5U);
  EXPECT_EQ(state.find("empty")->version, 2U);

  Store store;
  store.reset(std::make_shared<const State>(state));
  EXPECT_EQ(store.head_seqno(), 9U);
  const auto tx = store.begin();
  EXPECT_EQ(tx->version("m", "k"), 5U);
  tx->put("m", "k", "w");
  EXPECT_EQ(commit(store, tx), 10U);
}

TEST(WriteTransaction, ReadsItsOwnWrites)
{
  Store store;
  write(store, map, {{"a", "1"}, {"b", "2"}});
  const auto tx = store.begin();
  EXPECT_FALSE(tx->touched());
  EXPECT_EQ(tx->get(map, "a"), "1");
  EXPECT_TRUE(tx->touched());
  EXPECT_EQ(tx->version(map, "a"), 1U);
  EXPECT_EQ(tx->get(map, "c"), std::nullopt);
  EXPECT_EQ(tx->version(map, "c"), std::nullopt);
  tx->put(map, "a", "mine");
  tx->put(map, "c", "new");
  tx->remove(map, "b");
  EXPECT_EQ(tx->get(map, "a"), "mine");
  EXPECT_EQ(tx->version(map, "a"), std::nullopt);
  EXPECT_EQ(tx->get(map, "b"), std::nullopt);
  EXPECT_EQ(tx->version(map, "b"), std::nullopt);
  EXPECT_FALSE(tx->has(map, "b"));
  EXPECT_EQ(tx->get(map, "c"), "new");
  EXPECT_EQ(all(*tx->scan(map)), (Pairs{{"a", "mine"}, {"c", "new"}}));
  EXPECT_EQ(tx->get("never written", "a"), std::nullopt);
  tx->put(map, "b", "again");
  EXPECT_EQ(tx->get(map, "b"), "again");
}

TEST(WriteTransaction, ViewsStayValidWhileOtherKeysAreWritten)
{
  Store store;
  write(store, map, {{"base", "from base"}});
  const auto tx = store.begin();
  tx->put(map, "own", "short");
  const auto own = *tx->get(map, "own");
  const auto base = *tx->get(map, "base");
  for (int i = 0; i < 1000; ++i)
  {
    tx->put(map, std::to_string(i), std::to_string(i));
    tx->put("map " + std::to_string(i), "k", "v");
    store.begin_fresh();
  }
  write(store, map, {{"base", "changed"}});
  EXPECT_EQ(own, "short");
  EXPECT_EQ(base, "from base");
}

TEST(WriteTransaction, ScansRespectBoundsAndPrefixes)
{
  Store store;
  write(store, map, {{"a", "1"}, {"ab", "2"}, {"ab\xff", "3"}, {"ac", "4"}, {"b", "5"}, {"\xff\xff", "6"}});
  const auto check = [](ReadTransaction& tx)
  {
    EXPECT_EQ(all(*tx.scan(map, "ab", "ac")), (Pairs{{"ab", "2"}, {"ab\xff", "3"}}));
    EXPECT_EQ(all(*tx.scan(map, "b")), (Pairs{{"b", "5"}, {"\xff\xff", "6"}}));
    EXPECT_EQ(all(*tx.scan_prefix(map, "ab")), (Pairs{{"ab", "2"}, {"ab\xff", "3"}}));
    EXPECT_EQ(all(*tx.scan_prefix(map, "\xff")), (Pairs{{"\xff\xff", "6"}}));
    EXPECT_EQ(all(*tx.scan_prefix(map, "")).size(), 6U);
    EXPECT_TRUE(all(*tx.scan(map, "b", "a")).empty());
    EXPECT_TRUE(all(*tx.scan(map, "b", "b")).empty());
    EXPECT_TRUE(all(*tx.scan("never written")).empty());
    const auto ended = tx.scan(map, "x");
    while (ended->next())
      ;
    EXPECT_FALSE(ended->next());
  };
  check(*store.begin());
  SnapshotTransaction snapshot(store.begin_fresh()->base());
  EXPECT_FALSE(snapshot.touched());
  check(snapshot);
  EXPECT_TRUE(snapshot.touched());
  EXPECT_EQ(snapshot.get(map, "ab"), "2");
  EXPECT_EQ(snapshot.version(map, "ab"), 1U);
  EXPECT_EQ(snapshot.get(map, "x"), std::nullopt);
  EXPECT_EQ(snapshot.get("never written", "x"), std::nullopt);
}

TEST(WriteTransaction, ScanSeesWritesMadeOnTheWay)
{
  Store store;
  write(store, map, {{"b", "1"}, {"d", "1"}, {"f", "1"}, {"h", "1"}});
  const auto tx = store.begin();
  tx->put(map, "c", "own");
  const auto cursor = tx->scan(map);
  ASSERT_TRUE(cursor->next());
  EXPECT_EQ(cursor->key(), "b");
  EXPECT_EQ(cursor->version(), 1U);
  ASSERT_TRUE(cursor->next());
  const auto key = cursor->key();
  const auto value = cursor->value();
  EXPECT_EQ(cursor->version(), 0U);
  tx->put(map, "a", "behind");
  tx->put(map, "c", "changed");
  tx->put(map, "e", "ahead");
  tx->remove(map, "f");
  tx->put(map, "h", "replaced");
  for (int i = 0; i < 100; ++i)
    tx->put(map, "z" + std::to_string(i), "x");
  EXPECT_EQ(key, "c");
  EXPECT_EQ(value, "own");
  Pairs rest;
  while (cursor->next() && cursor->key() < "z")
    rest.emplace_back(cursor->key(), cursor->value());
  EXPECT_EQ(rest, (Pairs{{"d", "1"}, {"e", "ahead"}, {"h", "replaced"}}));
}

TEST(WriteTransaction, RemembersTheLastOperationOnAKey)
{
  const auto tx = std::make_unique<WriteTransaction>(std::make_shared<const State>());
  tx->put(map, "k", "1");
  tx->put(map, "k", "2");
  tx->put(map, "gone", "1");
  tx->remove(map, "gone");
  tx->remove(map, "absent");
  Digest digest{};
  digest[3] = 9;
  tx->set_claims_digest(digest);
  EXPECT_EQ(tx->claims_digest(), digest);
  ASSERT_EQ(tx->writes().size(), 1U);
  const MapWrites expected{{"absent", std::nullopt}, {"gone", std::nullopt}, {"k", "2"}};
  EXPECT_EQ(tx->writes().begin()->second, expected);
}

TEST(Store, SeqnosFollowEachOther)
{
  Store store;
  std::vector<Seqno> ordered;
  for (int i = 0; i < 3; ++i)
  {
    const auto tx = store.begin();
    tx->put(map, std::to_string(i), "v");
    ASSERT_TRUE(store.commit(*tx, [&](Seqno seqno) { ordered.push_back(seqno); }));
  }
  EXPECT_EQ(ordered, (std::vector<Seqno>{1, 2, 3}));
  EXPECT_EQ(store.head_seqno(), 3U);
  EXPECT_EQ(store.begin_fresh()->version(map, "1"), 2U);
}

TEST(Store, RefusesALostUpdate)
{
  Store store;
  write(store, map, {{"counter", "1"}});
  const auto one = store.begin_fresh();
  const auto two = store.begin_fresh();
  for (const auto* tx : {&one, &two})
    (*tx)->put(map, "counter", std::string(*(*tx)->get(map, "counter")) + "+");
  EXPECT_TRUE(commit(store, one));
  bool called = false;
  const auto result = store.commit(*two, [&](Seqno) { called = true; });
  EXPECT_TRUE(refused(result));
  EXPECT_FALSE(called);
  EXPECT_EQ(store.head_seqno(), 2U);
  EXPECT_EQ(store.begin_fresh()->get(map, "counter"), "1+");
}

TEST(Store, RefusesWriteSkew)
{
  Store store;
  write(store, map, {{"x", "1"}, {"y", "1"}});
  const auto one = store.begin_fresh();
  const auto two = store.begin_fresh();
  one->get(map, "x");
  one->put(map, "y", "0");
  two->get(map, "y");
  two->put(map, "x", "0");
  EXPECT_TRUE(commit(store, one));
  EXPECT_TRUE(refused(commit(store, two)));
}

TEST(Store, RefusesWhenWhatWasAbsentHasAppeared)
{
  Store store;
  for (const std::string name : {"new map", "another new map"})
  {
    const auto tx = store.begin();
    EXPECT_FALSE(tx->has(name, "k"));
    tx->put("elsewhere", name, "v");
    write(store, name, {{"k", "v"}});
    EXPECT_TRUE(refused(commit(store, tx)));
  }
}

TEST(Store, RefusesWhenAKeyWasRemovedAndWrittenAgainWithTheSameValue)
{
  Store store;
  write(store, map, {{"k", "v"}});
  const auto tx = store.begin_fresh();
  tx->get(map, "k");
  tx->put(map, "other", "v");
  const auto remover = store.begin_fresh();
  remover->remove(map, "k");
  ASSERT_TRUE(commit(store, remover));
  write(store, map, {{"k", "v"}});
  EXPECT_TRUE(refused(commit(store, tx)));
}

TEST(Store, AVersionThatWasReadIsADependency)
{
  Store store;
  write(store, map, {{"k", "v"}});
  const auto tx = store.begin_fresh();
  tx->version(map, "k");
  tx->put(map, "other", "v");
  write(store, map, {{"k", "w"}});
  EXPECT_TRUE(refused(commit(store, tx)));
}

TEST(Store, RefusesAPhantomInAScannedRange)
{
  const std::pair<const char*, bool> changes[] = {{"a", false}, {"b", true},  {"c5", true}, {"d", true},
                                                  {"dz", true}, {"e", false}, {"f", false}};
  for (const auto& [key, inside] : changes)
    for (const bool remove : {false, true})
    {
      Store store;
      write(store, map, {{"a", "1"}, {"b", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}});
      const auto tx = store.begin_fresh();
      all(*tx->scan(map, "b", "e"));
      tx->put("sums", "count", "2");
      const bool existed = tx->base()->find(map)->tree.find(key).has_value();
      const auto other = store.begin_fresh();
      if (remove)
        other->remove(map, key);
      else
        other->put(map, key, "x");
      ASSERT_TRUE(commit(store, other));
      const bool matters = inside && (existed || !remove);
      EXPECT_EQ(refused(commit(store, tx)), matters) << key << remove;
    }
}

TEST(Store, AScanDependsOnlyOnWhatItWentOver)
{
  for (const auto* key : {"0", "a", "a5", "b", "b5", "c"})
  {
    Store store;
    write(store, map, {{"a", "1"}, {"b", "1"}, {"c", "1"}});
    const auto tx = store.begin_fresh();
    const auto unused = tx->scan(map);
    const auto cursor = tx->scan(map, "a");
    ASSERT_TRUE(cursor->next());
    ASSERT_TRUE(cursor->next());
    EXPECT_EQ(cursor->key(), "b");
    tx->put("sums", "count", "2");
    write(store, map, {{key, "x"}});
    const bool inside = std::string_view("a") <= key && std::string_view(key) <= "b";
    EXPECT_EQ(refused(commit(store, tx)), inside) << key;
  }
}

TEST(Store, AScanToTheEndDependsOnTheEnd)
{
  Store store;
  write(store, map, {{"a", "1"}});
  const auto tx = store.begin_fresh();
  all(*tx->scan(map));
  tx->put("sums", "count", "1");
  write(store, map, {{"z", "1"}});
  EXPECT_TRUE(refused(commit(store, tx)));
}

TEST(Store, AScanOverOwnWritesStillDependsOnWhatLiesBelow)
{
  for (const auto* key : {"a", "m", "n"})
  {
    Store store;
    write(store, map, {{"z", "1"}});
    const auto tx = store.begin_fresh();
    tx->put(map, "m", "own");
    const auto cursor = tx->scan(map);
    ASSERT_TRUE(cursor->next());
    EXPECT_EQ(cursor->key(), "m");
    write(store, map, {{key, "x"}});
    EXPECT_EQ(refused(commit(store, tx)), std::string_view(key) <= "m") << key;
  }
}

TEST(Store, DisjointTransactionsBothPass)
{
  Store store;
  write(store, map, {{"a", "1"}, {"b", "1"}});
  const auto one = store.begin_fresh();
  const auto two = store.begin_fresh();
  one->get(map, "a");
  one->put(map, "a", "2");
  two->get(map, "b");
  two->put(map, "b", "2");
  EXPECT_TRUE(commit(store, one));
  EXPECT_TRUE(commit(store, two));
  const auto after = store.begin_fresh();
  EXPECT_EQ(after->get(map, "a"), "2");
  EXPECT_EQ(after->get(map, "b"), "2");
}

TEST(Store, BlindWritesNeverConflict)
{
  Store store;
  const auto one = store.begin();
  const auto two = store.begin();
  one->put(map, "k", "1");
  two->put(map, "k", "2");
  EXPECT_TRUE(commit(store, two));
  EXPECT_TRUE(commit(store, one));
  EXPECT_EQ(store.begin_fresh()->get(map, "k"), "1");
}

TEST(Store, ReadingBackAnOwnWriteIsNoDependency)
{
  Store store;
  const auto tx = store.begin();
  tx->put(map, "k", "1");
  EXPECT_EQ(tx->get(map, "k"), "1");
  EXPECT_EQ(tx->version(map, "k"), std::nullopt);
  write(store, map, {{"k", "2"}});
  EXPECT_TRUE(commit(store, tx));
}

TEST(Store, AReservationIsFilledBelowLaterTransactions)
{
  Store store;
  write(store, map, {{"a", "1"}});
  Seqno reserved = 0;
  const auto below = store.reserve([&](Seqno seqno) { reserved = seqno; });
  EXPECT_EQ(reserved, 2U);
  EXPECT_EQ(below->seqno(), 1U);
  EXPECT_EQ(store.head_seqno(), 2U);
  write(store, map, {{"b", "1"}});
  EXPECT_EQ(store.head_seqno(), 3U);

  WriteSet signature;
  signature["public:signatures"]["s"] = "root over 1";
  const auto filled = store.fill(below, reserved, signature);
  EXPECT_EQ(filled->seqno(), 2U);
  EXPECT_EQ(filled->find("public:signatures")->tree.find("s")->version, 2U);
  EXPECT_FALSE(filled->find(map)->tree.find("b"));
  EXPECT_FALSE(below->find("public:signatures"));
  EXPECT_EQ(store.begin()->base(), filled);

  const auto fresh = store.begin_fresh();
  EXPECT_EQ(fresh->base()->seqno(), 3U);
  EXPECT_EQ(fresh->version("public:signatures", "s"), 2U);
  EXPECT_EQ(fresh->version(map, "b"), 3U);
  store.set_committed(filled);
  EXPECT_EQ(store.committed(), filled);
  EXPECT_EQ(store.reserve({})->seqno(), 3U);
  EXPECT_EQ(store.head_seqno(), 4U);
}

TEST(Store, FillingConflictsWithWhoReadTheSame)
{
  Store store;
  write(store, map, {{"a", "1"}});
  const auto below = store.reserve({});
  const auto reader = store.begin_fresh();
  EXPECT_FALSE(reader->has("public:signatures", "s"));
  reader->put(map, "x", "1");
  const auto other = store.begin_fresh();
  EXPECT_TRUE(other->has(map, "a"));
  other->put(map, "y", "1");
  WriteSet signature;
  signature["public:signatures"]["s"] = "root";
  store.fill(below, 2, signature);
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_TRUE(commit(store, other));
}

TEST(Store, WhatComesBehindAReservationWaitsForItsMaps)
{
  Store store;
  const auto signature = [](const char* text) { return WriteSet{{"signatures", {{"s", text}}}}; };
  store.fill(store.reserve({}), 1, signature("first"));
  const auto below = store.reserve({});
  const auto reader = store.begin_fresh();
  EXPECT_EQ(reader->get("signatures", "s"), "first");
  reader->put(map, "x", "1");
  const auto writer = store.begin_fresh();
  writer->put("signatures", "s", "not from the sequencer");
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_TRUE(refused(commit(store, writer)));
  store.fill(below, 2, signature("second"));
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_EQ(commit(store, writer), 3U);
}

TEST(StoreDeathTest, AFillMustNotOverwriteWhatIsLater)
{
  Store store;
  const auto below = store.reserve({});
  write(store, "signatures", {{"s", "1"}});
  EXPECT_DEATH(store.fill(below, 1, {{"signatures", {{"s", "2"}}}}), "a later write must not be overwritten");
}

TEST(Store, ResetTakesBackWhatWasNotCommitted)
{
  Store store;
  write(store, map, {{"a", "committed"}});
  const auto committed = store.begin_fresh()->base();
  write(store, map, {{"a", "speculative"}});
  const auto before = store.begin_fresh();
  EXPECT_EQ(before->get(map, "a"), "speculative");
  before->put(map, "b", "1");
  const auto blind = store.begin_fresh();
  blind->put(map, "c", "1");
  const auto below = store.reserve({});

  Seqno seen = 99;
  store.reset(committed, [&] { seen = store.head_seqno(); });
  EXPECT_EQ(seen, 1U);
  EXPECT_EQ(store.head_seqno(), 1U);
  EXPECT_EQ(store.committed()->seqno(), 1U);
  EXPECT_EQ(store.begin()->get(map, "a"), "committed");

  // The same seqno is given out again for something else: versions alone do not tell them apart.
  write(store, map, {{"a", "another"}});
  EXPECT_EQ(store.begin_fresh()->version(map, "a"), before->base()->find(map)->tree.find("a")->version);
  EXPECT_TRUE(refused(commit(store, before)));
  EXPECT_TRUE(refused(commit(store, blind)));

  WriteSet signature;
  signature["public:signatures"]["s"] = "root";
  EXPECT_EQ(store.fill(below, 3, signature)->seqno(), 3U);
  EXPECT_FALSE(store.begin_fresh()->has("public:signatures", "s"));
  EXPECT_EQ(store.begin()->get(map, "a"), "another");
  EXPECT_EQ(store.reserve({})->seqno(), 2U);
}

TEST(Store, TransactionsOverTheCommittedStateAfterAResetCanCommit)
{
  Store store;
  State state;
  WriteSet writes;
  writes[map]["a"] = "1";
  state.apply(writes, 5);
  store.reset(std::make_shared<const State>(state));
  WriteTransaction tx(store.committed());
  EXPECT_EQ(tx.get(map, "a"), "1");
  tx.put(map, "b", "1");
  EXPECT_EQ(store.commit(tx, {}), 6U);
}

// Every transaction moves an amount between two accounts after reading all of them; the sum stays, and each state
// that anyone sees has it.
TEST(Store, TransactionsOfManyThreadsAreSerializable)
{
  constexpr int threads = 4;
  constexpr int moves = 150;
  constexpr int accounts = 8;
  Store store;
  {
    Pairs start;
    for (int i = 0; i < accounts; ++i)
      start.emplace_back("account" + std::to_string(i), "100");
    write(store, map, start);
  }
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back(
        [&, t]
        {
          std::mt19937_64 random(static_cast<std::uint64_t>(t));
          for (int i = 0; i < moves; ++i)
          {
            bool done = false;
            for (auto tx = store.begin(); !done; tx = store.begin_fresh())
            {
              int sum = 0;
              const auto cursor = tx->scan_prefix(map, "account");
              while (cursor->next())
                sum += std::stoi(std::string(cursor->value()));
              EXPECT_EQ(sum, accounts * 100);
              const auto from = "account" + std::to_string(random() % accounts);
              const auto to = "account" + std::to_string(random() % accounts);
              tx->put(map, from, std::to_string(std::stoi(std::string(*tx->get(map, from))) - 1));
              tx->put(map, to, std::to_string(std::stoi(std::string(*tx->get(map, to))) + 1));
              done = commit(store, tx).has_value();
            }
          }
        });
  for (auto& thread : running)
    thread.join();
  EXPECT_EQ(store.head_seqno(), 1U + threads * moves);
}

TEST(Store, IncrementsOfManyThreadsAreAllCountedWhileBatchesAreClosed)
{
  constexpr int threads = 3;
  constexpr std::uint64_t increments = 300;
  Store store;
  std::atomic<bool> stop{false};
  std::thread closer(
      [&]
      {
        for (std::uint64_t n = 0; !stop; ++n)
        {
          Seqno reserved = 0;
          const auto below = store.reserve([&](Seqno seqno) { reserved = seqno; });
          WriteSet signature;
          signature["public:signatures"]["s"] = std::to_string(below->seqno());
          store.set_committed(store.fill(below, reserved, signature));
          std::this_thread::yield();
        }
      });
  std::thread reader(
      [&]
      {
        std::uint64_t last = 0;
        while (!stop)
        {
          SnapshotTransaction tx(store.committed());
          const auto value = tx.get(map, "counter");
          const std::uint64_t now = value ? std::stoull(std::string(*value)) : 0;
          EXPECT_GE(now, last);
          last = now;
        }
      });
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back(
        [&, t]
        {
          for (std::uint64_t i = 0; i < increments; ++i)
          {
            bool done = false;
            for (auto tx = store.begin(); !done; tx = store.begin_fresh())
            {
              const auto value = tx->get(map, "counter");
              tx->put(map, "counter", std::to_string(value ? std::stoull(std::string(*value)) + 1 : 1));
              tx->put(map, std::to_string(t) + "/" + std::to_string(i), "done");
              done = commit(store, tx).has_value();
            }
          }
        });
  for (auto& thread : running)
    thread.join();
  stop = true;
  closer.join();
  reader.join();
  const auto after = store.begin_fresh();
  EXPECT_EQ(after->get(map, "counter"), std::to_string(threads * increments));
  EXPECT_EQ(after->base()->find(map)->tree.size(), 1 + threads * increments);
}

// Replays random transactions, run in an interleaved way, one after the other in the order of their seqnos: a store
// that is serializable gives every one of them the same reads again.
TEST(Store, CommittedTransactionsReadWhatASerialRunReads)
{
  TestRandom random;
  struct Running
  {
    std::unique_ptr<WriteTransaction> tx;
    std::vector<std::function<std::string(Transaction&)>> operations;
    std::vector<std::string> results;
  };
  int conflicts = 0;
  for (int round = 0; round < 60; ++round)
  {
    Store store;
    State serial;
    std::map<Seqno, Running> committed;
    std::vector<Running> open;
    store.fill(store.reserve({}), 1, {{"signatures", {{"5", "first"}}}});
    serial.apply({{"signatures", {{"5", "first"}}}}, 1);
    Seqno reserved = 0;
    Snapshot below;
    for (int step = 0; step < 300; ++step)
    {
      if (open.size() < 4)
        open.push_back({random.chance(70) ? store.begin() : store.begin_fresh(), {}, {}});
      if (random.chance(10))
      {
        if (reserved == 0)
          below = store.reserve([&](Seqno seqno) { reserved = seqno; });
        else
        {
          Running signature{std::make_unique<WriteTransaction>(below), {}, {}};
          const auto text = std::to_string(step);
          signature.operations.push_back([text](Transaction& tx) { return tx.put("signatures", "5", text), ""; });
          signature.results.push_back(signature.operations.back()(*signature.tx));
          store.fill(below, reserved, signature.tx->writes());
          committed.emplace(reserved, std::move(signature));
          reserved = 0;
        }
      }
      const auto chosen = random.below(open.size());
      auto& running = open[chosen];
      const std::string name = random.chance(85) ? "records" : "signatures";
      const auto key = std::to_string(random.below(12));
      const auto value = std::to_string(step);
      const auto steps = random.below(4);
      std::function<std::string(Transaction&)> operation;
      switch (random.below(7))
      {
      case 0:
      case 1:
        operation = [name, key](Transaction& tx) { return std::string(tx.get(name, key).value_or("none")); };
        break;
      case 2:
        operation = [name, key, steps](Transaction& tx)
        {
          std::string seen;
          const auto cursor = tx.scan(name, key, "7");
          for (auto left = steps; left > 0 && cursor->next(); --left)
            seen += std::string(cursor->key()) + "=" + std::string(cursor->value()) + ";";
          return seen;
        };
        break;
      case 3:
        operation = [name, key](Transaction& tx) { return tx.remove(name, key), ""; };
        break;
      case 4:
      case 5:
        operation = [name, key, value](Transaction& tx) { return tx.put(name, key, value), ""; };
        break;
      default:
        if (!running.tx->writes().empty())
        {
          if (const auto seqno = store.commit(*running.tx, {}))
            committed.emplace(*seqno, std::move(running));
          else
            ++conflicts;
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(chosen));
        }
        continue;
      }
      running.results.push_back(operation(*running.tx));
      running.operations.push_back(std::move(operation));
    }
    for (auto& [seqno, running] : committed)
    {
      WriteTransaction again(std::make_shared<const State>(serial));
      for (std::size_t i = 0; i < running.operations.size(); ++i)
        ASSERT_EQ(running.operations[i](again), running.results[i]) << "seqno " << seqno << " operation " << i;
      ASSERT_EQ(again.writes(), running.tx->writes());
      serial.apply(again.writes(), seqno);
    }
    const auto head = store.begin_fresh()->base();
    ASSERT_EQ(head->maps().size(), serial.maps().size());
    for (const auto& [name, tree, version] : serial.maps())
    {
      EXPECT_EQ(head->find(name)->version, version);
      ASSERT_TRUE(Tree::same_range(head->find(name)->tree, tree, ""));
    }
  }
  EXPECT_GT(conflicts, 50);
}
}
