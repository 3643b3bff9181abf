#include "base/mutex.h"
#include "kv/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

/// How transactions that write or have read much take their place among the others.
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

// The second is begun while the first is made ready, which goes on once the second waits, or has committed.
TEST(Store, LargeTransactionsAreMadeReadyOneAfterTheOther)
{
  base::Mutex mutex;
  std::vector<std::string> course;
  const auto note = [&](const std::string& what)
  {
    const base::LockGuard lock(mutex);
    course.push_back(what);
  };
  std::latch second_came(1);
  bool second_waits = false;
  std::atomic<bool> first_is_ready{false};
  std::thread second;
  Store* shared = nullptr;
  const auto place = [&](const std::string& name)
  {
    const auto tx = shared->begin_fresh();
    make_large(*tx, name);
    return shared->commit(*tx, [&](Store::Order&) { return note(name + " is ordered"), Result<void>(); });
  };
  StoreOptions options;
  options.waits = [&]
  {
    note("the second waits");
    second_waits = true;
    second_came.count_down();
  };
  options.prepared = [&]
  {
    if (first_is_ready.exchange(true))
      return note("the second is ready");
    note("the first is ready");
    second = std::thread(
        [&]
        {
          EXPECT_EQ(place("the second"), (TxId{0, 2}));
          if (!second_waits)
            second_came.count_down();
        });
    second_came.wait();
  };
  Store store(options);
  shared = &store;
  EXPECT_EQ(place("the first"), (TxId{0, 1}));
  second.join();
  EXPECT_EQ(
      course, (std::vector<std::string>{
                  "the first is ready", "the second waits", "the first is ordered", "the second is ready",
                  "the second is ordered"}));
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
// and large ones write their number to all of a set of keys, which every state must show to be equal.
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
  const auto last = end->get(map, "filler0");
  EXPECT_NE(last, "none");
  for (std::uint64_t i = 0; i <= large; ++i)
    EXPECT_EQ(end->get(map, "filler" + std::to_string(i * 17)), last);
  end->base()->find(map)->tree.check();
}
}
