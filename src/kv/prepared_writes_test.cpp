#include "kv/prepared_writes.h"
#include "kv/test_random.h"
#include "kv/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <thread>

namespace concordat::kv
{
using namespace test;

namespace
{
const auto large = StoreOptions().large;
const auto far_behind = StoreOptions().far_behind;
const auto most_rounds = StoreOptions().most_rounds;

StoreOptions called_when_prepared(std::function<void()> call)
{
  StoreOptions options;
  options.prepared = std::move(call);
  return options;
}

std::string random_key(TestRandom& random)
{
  return std::to_string(random.below(20'000));
}

void write_many(WriteTransaction& tx, TestRandom& random, std::uint64_t count, const std::string& name = map)
{
  for (std::uint64_t i = 0; i < count; ++i)
  {
    if (random.chance(25))
      tx.remove(name, random_key(random));
    else
      tx.put(name, random_key(random), random.bytes(random.below(60)));
  }
}

void expect_equal(const State& state, const State& expected)
{
  ASSERT_EQ(state.txid(), expected.txid());
  ASSERT_EQ(state.maps().size(), expected.maps().size());
  for (const auto& [name, tree, version] : expected.maps())
  {
    const auto* const found = state.find(name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->version, version);
    found->tree.check();
    EXPECT_EQ(found->tree.size(), tree.size());
    auto x = found->tree.lower_bound("");
    for (auto y = tree.lower_bound(""); y.valid(); y.next(), x.next())
    {
      ASSERT_TRUE(x.valid());
      ASSERT_EQ(x.key(), y.key());
      ASSERT_EQ(x.version(), y.version());
      ASSERT_EQ(x.value(), y.value());
    }
    ASSERT_FALSE(x.valid());
  }
}
}

TEST(Tree, TellsTheDifferencesOfTwoVersions)
{
  TestRandom random;
  for (int round = 0; round < 60; ++round)
  {
    Tree a;
    for (auto count = random.below(4'000); count > 0; --count)
      a.put(random_key(random), 1, random.bytes(random.below(60)));
    Tree b = a;
    const auto changes = random.chance(50) ? random.below(5) : random.below(6'000);
    for (std::uint64_t i = 0; i < changes; ++i)
    {
      if (random.chance(round))
        b.erase(random_key(random));
      else
        b.put(random_key(random), 2 + i, random.bytes(random.below(60)));
    }
    // Applied to the one, they make the other of it, and none is told that is none.
    Tree made = a;
    std::string last;
    Tree::differences(
        a, b,
        [&](std::string_view key, const std::optional<Tree::Found>& now)
        {
          EXPECT_LT(last, key);
          last = key;
          const auto before = a.find(key);
          ASSERT_TRUE(now ? !before || before->version != now->version : before.has_value());
          if (now)
            made.put(key, now->version, now->value);
          else
            made.erase(key);
        });
    made.check();
    EXPECT_EQ(made.size(), b.size());
    EXPECT_TRUE(Tree::same_range(made, b, ""));
  }
}

// What separates the two is looked at, and the way to it, wherever pages were split or joined above it.
TEST(Tree, DifferencesAreFoundWithoutALookAtWhatIsShared)
{
  TestRandom random;
  Tree tree;
  const std::string value(100, 'v');
  for (int i = 0; i < 200'000; ++i)
    tree.put("key" + std::to_string(i * 7919 % 200'000), 1, value);
  std::uint64_t most = 0;
  for (unsigned round = 0; round < 300; ++round)
  {
    const Tree before = tree;
    // In one place, so that pages above split, or join, as often as can be.
    const auto place = "key" + std::to_string(random.below(200'000));
    std::uint64_t told = 0;
    std::uint64_t changes = 0;
    for (; changes < 100; ++changes)
      tree.put(place + "/" + std::to_string(changes), 2 + round, value);
    const auto steps = Tree::differences(before, tree, [&](std::string_view, const auto&) { ++told; });
    EXPECT_EQ(told, changes);
    EXPECT_EQ(steps, Tree::differences(tree, before, [&](std::string_view, const auto&) { --told; }));
    EXPECT_EQ(told, 0U);
    most = std::max(most, steps);
  }
  EXPECT_LT(most, 1'500U) << "of more than " << tree.size() / 20 << " pages";
}

// However much others do between the copies, the outcome is that of applying one write set after the other.
TEST(PreparedWrites, GiveWhatApplyingThemInTheirPlaceGives)
{
  TestRandom random;
  for (int round = 0; round < 40; ++round)
  {
    State head;
    State serial;
    Seqno seqno = 0;
    const auto others = [&](std::uint64_t transactions, std::uint64_t most)
    {
      for (; transactions > 0; --transactions)
      {
        WriteTransaction tx(std::make_shared<const State>());
        write_many(tx, random, 1 + random.below(most), random.chance(80) ? map : "public:other");
        ++seqno;
        head.apply(tx.writes(), {1, seqno});
        serial.apply(tx.writes(), {1, seqno});
      }
    };
    others(random.below(4), 8'000);
    WriteTransaction tx(std::make_shared<const State>(head));
    write_many(tx, random, 1 + random.below(3'000));
    if (random.chance(30))
      write_many(tx, random, 10, "public:new");
    PreparedWrites prepared(tx, head);
    for (auto rounds = random.below(4); rounds > 0; --rounds)
    {
      others(random.below(6), random.chance(20) ? 3'000 : 4);
      ASSERT_EQ(prepared.follow(head), nullptr);
    }
    prepared.close();
    others(random.below(6), random.chance(20) ? 3'000 : 4);
    const State seen = head;
    const State seen_serial = serial;
    ASSERT_EQ(prepared.changed_in(head), nullptr);
    prepared.finish(head, {1, ++seqno});
    serial.apply(tx.writes(), {1, seqno});
    expect_equal(head, serial);
    expect_equal(seen, seen_serial);
    others(3, 200);
    expect_equal(head, serial);
  }
}

TEST(PreparedWrites, AreOfUseOnlyWhileNothingWasChangedThatWasRead)
{
  struct Case
  {
    std::function<void(Transaction&)> read;
    const char* key;
    bool holds;
  };
  const auto scan = [](const char* from, const char* to, int steps)
  {
    return [=](Transaction& tx)
    {
      const auto cursor = to ? tx.scan(map, from, to) : tx.scan(map, from);
      for (int i = 0; i < steps && cursor->next(); ++i)
        ;
    };
  };
  const Case cases[] = {
      {[](Transaction& tx) { tx.get(map, "b"); }, "b", false},
      {[](Transaction& tx) { tx.get(map, "b"); }, "c", true},
      {[](Transaction& tx) { tx.get(map, "absent"); }, "absent", false},
      {scan("b", "d", 9), "c5", false},
      {scan("b", "d", 9), "b", false},
      {scan("b", "d", 9), "d", true},
      {scan("b", "d", 9), "a", true},
      {scan("b", nullptr, 9), "z", false},
      {scan("b", nullptr, 1), "b", false},
      {scan("b", nullptr, 1), "b5", true},
      {scan("b", nullptr, 0), "b", true},
      {[=](Transaction& tx) { scan("a", "c", 9)(tx), scan("b", "b5", 9)(tx); }, "b7", false},
      {[=](Transaction& tx) { scan("a", "b", 9)(tx), scan("c", "d", 9)(tx); }, "b5", true},
      {[=](Transaction& tx) { scan("c", nullptr, 9)(tx), scan("a", "b", 9)(tx); }, "z", false},
      {[=](Transaction& tx) { scan("c", nullptr, 9)(tx), scan("c", "c5", 9)(tx); }, "z", false},
  };
  for (const auto& [read, key, holds] : cases)
    for (const bool remove : {false, true})
      for (const bool at_follow : {false, true})
      {
        State head;
        head.apply({{map, {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}}}}, {1, 1});
        WriteTransaction tx(std::make_shared<const State>(head));
        read(tx);
        tx.put("sums", "x", "1");
        PreparedWrites prepared(tx, head);
        const bool there = head.find(map)->tree.find(key).has_value();
        head.apply({{map, {{key, remove ? std::nullopt : std::optional<std::string>("2")}}}}, {1, 2});
        const bool expected = holds || (remove && !there);
        const auto* const changed = at_follow ? prepared.follow(head) : prepared.changed_in(head);
        EXPECT_EQ(changed == nullptr, expected) << key << remove;
        EXPECT_EQ(changed ? *changed : map, map);
      }
}

namespace
{
/// So many writes elsewhere that the transaction is prepared before it is ordered.
void make_large(WriteTransaction& tx, const std::string& name = "bulk")
{
  for (std::uint64_t i = 0; i <= large; ++i)
    tx.put(name, "large" + std::to_string(i), "v");
}
}

// `prepared` is called on the thread that commits: if it held the lock, these would never come to an end.
TEST(Store, OthersCommitAndBeginWhileALargeTransactionIsPrepared)
{
  Store* other = nullptr;
  int calls = 0;
  Store store(called_when_prepared(
      [&]
      {
        ++calls;
        write(*other, map, {{"x", std::to_string(calls)}});
        const auto reserved = other->reserve({});
        other->set_committed(other->fill(reserved, {0, other->head_seqno()}, {{"signatures", {{"k", "v"}}}}));
      }));
  other = &store;
  const auto tx = store.begin_fresh();
  make_large(*tx);
  const auto txid = commit(store, tx);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(txid, 3U);
  const auto after = store.begin_fresh();
  EXPECT_EQ(after->get(map, "x"), "1");
  EXPECT_EQ(after->version("bulk", "large7"), 3U);
  EXPECT_EQ(after->version("signatures", "k"), 2U);
}

// Under the lock is done what others changed meanwhile; where that is much, it is done before.
TEST(Store, ALargeTransactionFollowsOthersBesideTheLockButIsNotPutOffForEver)
{
  struct Case
  {
    std::uint64_t keys;
    unsigned changing;
    unsigned prepared;
  };
  constexpr auto ever = std::numeric_limits<unsigned>::max();
  for (const auto& [keys, changing, prepared] : {
           Case{far_behind, 5, 1},
           Case{far_behind + 1, 5, 6},
           Case{far_behind + 1, ever, most_rounds},
       })
  {
    Store* other = nullptr;
    unsigned calls = 0;
    State serial;
    Store store(called_when_prepared(
        [&, keys = keys, changing = changing]
        {
          if (calls++ >= changing)
            return;
          for (std::uint64_t i = 0; i < keys; i += large)
          {
            const auto part = other->begin_fresh();
            for (auto n = i; n < std::min(keys, i + large); ++n)
              part->put("bulk", "small" + std::to_string(n), std::to_string(calls));
            const auto placed = commit(*other, part);
            ASSERT_TRUE(placed);
            serial.apply(part->writes(), {0, *placed});
          }
        }));
    other = &store;
    const auto tx = store.begin_fresh();
    make_large(*tx);
    const auto placed = commit(store, tx);
    ASSERT_TRUE(placed);
    EXPECT_EQ(calls, prepared);
    serial.apply(tx->writes(), {0, *placed});
    expect_equal(*store.begin_fresh()->base(), serial);
  }
}

TEST(Store, ALargeTransactionIsRefusedForWhatHappensWhileItIsPrepared)
{
  for (const bool reset : {false, true})
  {
    Store* other = nullptr;
    Store store(called_when_prepared(
        [&]
        {
          if (reset)
            other->reset(other->begin_fresh()->base(), 1);
          else
            write(*other, map, {{"x", "2"}});
        }));
    other = &store;
    write(store, map, {{"x", "1"}});
    const auto tx = store.begin_fresh();
    tx->get(map, "x");
    make_large(*tx);
    EXPECT_TRUE(refused(commit(store, tx)));
    EXPECT_EQ(store.begin_fresh()->base()->find("bulk"), nullptr);
  }
}

// One that has gone over much is compared with the head beside the lock, even if it writes little.
TEST(Store, ATransactionThatHasReadMuchIsPreparedToo)
{
  for (const bool scans : {false, true})
    for (const bool much : {false, true})
      for (const auto* const changed : {"key5", "key50", "other"})
      {
        Store* other = nullptr;
        int calls = 0;
        Store store(called_when_prepared(
            [&]
            {
              ++calls;
              write(*other, map, {{changed, "2"}});
            }));
        other = &store;
        Pairs records;
        for (std::uint64_t i = 0; i < large; ++i)
          records.emplace_back("key" + std::to_string(i), "1");
        write(store, map, records);
        const auto tx = store.begin_fresh();
        if (scans)
        {
          const auto cursor = tx->scan(map, much ? "" : "key1", much ? "l" : "key10");
          while (cursor->next())
            ;
        }
        else
          for (std::uint64_t i = much ? 0 : 6; i < (much ? large : 9); ++i)
            tx->get(map, records[i].first);
        tx->put("sums", "x", "1");
        EXPECT_EQ(refused(commit(store, tx)), much && std::string_view(changed) != "other") << scans << changed;
        EXPECT_EQ(calls, much ? 1 : 0);
      }
}

TEST(Store, ALargeTransactionIsRefusedAsASmallOneIs)
{
  Store store;
  write(store, map, {{"x", "1"}, {"y", "1"}});
  const auto tx = store.begin_fresh();
  tx->get(map, "x");
  make_large(*tx);
  write(store, map, {{"y", "2"}});
  const auto other = store.begin_fresh();
  other->get(map, "y");
  make_large(*other);
  EXPECT_TRUE(commit(store, tx));
  write(store, map, {{"x", "2"}, {"y", "3"}});
  EXPECT_TRUE(refused(commit(store, other)));
  const auto reset = store.begin_fresh();
  make_large(*reset);
  store.reset(store.begin_fresh()->base(), 1);
  EXPECT_TRUE(refused(commit(store, reset)));
}

TEST(Store, ALargeTransactionThatGetsNoPlaceLeavesNothing)
{
  Store store;
  write(store, map, {{"x", "1"}});
  const auto tx = store.begin_fresh();
  make_large(*tx);
  const auto result =
      store.commit(*tx, [](Store::Order&) -> Result<void> { return fail(ErrorCode::limit, "no room"); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::limit);
  EXPECT_EQ(store.head_seqno(), 1U);
  EXPECT_EQ(store.begin_fresh()->base()->find("bulk"), nullptr);
}

TEST(Store, ALargeTransactionMayPutASignatureBeforeItself)
{
  Store store;
  write(store, map, {{"x", "1"}});
  const auto tx = store.begin_fresh();
  make_large(*tx);
  Snapshot below;
  TxId signature;
  const auto txid = store.commit(
      *tx,
      [&](Store::Order& order)
      {
        std::tie(signature, below) = order.reserve();
        return Result<void>();
      });
  ASSERT_TRUE(txid);
  EXPECT_EQ(signature.seqno, 2U);
  EXPECT_EQ(txid->seqno, 3U);
  EXPECT_EQ(below->find("bulk"), nullptr);
  const auto filled = store.fill(below, signature, {{"signatures", {{"k", "v"}}}});
  EXPECT_EQ(filled->find("bulk"), nullptr);
  EXPECT_EQ(store.begin_fresh()->version("bulk", "large7"), 3U);
}

// Large and small transactions write and read the same keys in many threads. Each raises a counter that it has read,
// beside a version of it that every state must show to be in step, and large ones write their number to all of a set of
// keys, which every state must show to be equal.
TEST(Store, LargeAndSmallTransactionsOfManyThreadsAreSerializable)
{
  constexpr int rounds = 60;
  constexpr int small_per_round = 20;
  constexpr std::uint64_t counters = 50;
  Store store;
  {
    const auto tx = store.begin_fresh();
    for (int i = 0; i < 5'000; ++i)
      tx->put(map, "filler" + std::to_string(i), "v");
    for (std::uint64_t i = 0; i < counters; ++i)
      tx->put(map, "counter" + std::to_string(i), "0");
    for (std::uint64_t i = 0; i <= large; ++i)
      tx->put(map, "filler" + std::to_string(i * 17), "none");
    ASSERT_TRUE(commit(store, tx));
    store.begin_fresh(); // what others begin from
  }
  const auto raise = [](Transaction& tx, const std::string& key)
  { tx.put(map, key, std::to_string(std::stoll(std::string(*tx.get(map, key))) + 1)); };
  const auto run = [&](const std::function<void(WriteTransaction&)>& body)
  {
    for (auto tx = store.begin();; tx = store.begin_fresh())
    {
      body(*tx);
      if (commit(store, tx))
        return;
    }
  };
  std::vector<std::thread> running;
  for (int thread = 0; thread < 2; ++thread)
  {
    running.emplace_back(
        [&, thread]
        {
          std::mt19937_64 random(static_cast<std::uint64_t>(thread));
          for (int i = 0; i < rounds; ++i)
          {
            const auto counter = "counter" + std::to_string(random() % counters);
            const auto mine = std::to_string(thread) + "/" + std::to_string(i);
            run(
                [&](WriteTransaction& tx)
                {
                  const auto first = std::string(*tx.get(map, "filler0"));
                  for (std::uint64_t n = 0; n <= large; ++n)
                  {
                    const auto key = "filler" + std::to_string(n * 17);
                    EXPECT_EQ(tx.get(map, key), first);
                    tx.put(map, key, mine);
                  }
                  raise(tx, counter);
                });
          }
        });
    running.emplace_back(
        [&, thread]
        {
          std::mt19937_64 random(static_cast<std::uint64_t>(100 + thread));
          for (int i = 0; i < rounds * small_per_round; ++i)
          {
            const auto counter = "counter" + std::to_string(random() % counters);
            run([&](WriteTransaction& tx) { raise(tx, counter); });
          }
        });
  }
  for (auto& thread : running)
    thread.join();
  const auto end = store.begin_fresh();
  long long sum = 0;
  for (std::uint64_t i = 0; i < counters; ++i)
    sum += std::stoll(std::string(*end->get(map, "counter" + std::to_string(i))));
  EXPECT_EQ(sum, 2 * rounds * (1 + small_per_round));
  EXPECT_EQ(store.head_seqno(), 1U + 2U * rounds * (1 + small_per_round));
  end->base()->find(map)->tree.check();
}
}
