#include "kv/test_store.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <tuple>

namespace concordat::kv
{
using namespace test;

TEST(Store, SeqnosFollowEachOther)
{
  Store store;
  std::vector<TxId> ordered;
  for (int i = 0; i < 3; ++i)
  {
    const auto tx = store.begin();
    tx->put(map, std::to_string(i), "v");
    ASSERT_TRUE(
        store.commit(*tx, [&](Store::Order& order) { return ordered.push_back(order.next()), Result<void>(); }));
  }
  EXPECT_EQ(ordered, (std::vector<TxId>{{0, 1}, {0, 2}, {0, 3}}));
  EXPECT_EQ(store.head_seqno(), 3U);
  EXPECT_EQ(store.begin_fresh()->version(map, "1"), 2U);
}

TEST(Store, AReservationIsFilledBelowLaterTransactions)
{
  Store store;
  write(store, map, {{"a", "1"}});
  TxId reserved;
  const auto below = store.reserve([&](TxId txid) { reserved = txid; });
  EXPECT_EQ(reserved, (TxId{0, 2}));
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

TEST(Store, WhatWasCommittedIsGivenAwayOnlyIfMuchHasChangedSince)
{
  std::vector<Snapshot> given;
  StoreOptions options;
  options.large = 3;
  options.let_go = [&](Snapshot state) { given.push_back(std::move(state)); };
  Store store(options);
  const auto commit_all = [&] { store.set_committed(store.begin_fresh()->base()); };
  write(store, map, {{"a", "1"}, {"b", "1"}, {"c", "1"}});
  commit_all();
  EXPECT_TRUE(given.empty());
  const auto before = store.committed();
  write(store, map, {{"d", "1"}, {"e", "1"}});
  write(store, map, {{"a", "2"}, {"b", "2"}});
  commit_all();
  EXPECT_EQ(given, std::vector{before});
  EXPECT_EQ(store.committed()->seqno(), 3U);
}

TEST(Store, SeveralReservationsAreFilledInTheirOrder)
{
  Store store;
  const auto signature = [](const char* text) { return WriteSet{{"signatures", {{"s", text}}}}; };
  write(store, map, {{"a", "1"}});
  TxId first;
  TxId second;
  const auto below_first = store.reserve([&](TxId txid) { first = txid; });
  Snapshot below_second;
  const auto tx = store.begin_fresh();
  tx->put(map, "c", "1");
  write(store, map, {{"b", "1"}});
  ASSERT_EQ(
      store.commit(
          *tx,
          [&](Store::Order& order) -> Result<void>
          {
            std::tie(second, below_second) = order.reserve();
            EXPECT_EQ(order.next(), (TxId{0, 5})) << "the transaction comes after what was reserved before it";
            return {};
          }),
      (TxId{0, 5}));
  EXPECT_EQ(first, (TxId{0, 2}));
  EXPECT_EQ(second, (TxId{0, 4}));
  EXPECT_TRUE(below_second->find(map)->tree.find("b"));
  EXPECT_FALSE(below_second->find(map)->tree.find("c"));

  EXPECT_FALSE(store.fill(below_first, first, signature("one"))->find(map)->tree.find("b"));
  const auto reader = store.begin_fresh();
  EXPECT_EQ(reader->get("signatures", "s"), "one");
  reader->put(map, "x", "1");
  EXPECT_TRUE(refused(commit(store, reader))) << "the second is still to write there";
  const auto filled = store.fill(below_second, second, signature("two"));
  EXPECT_EQ(filled->find("signatures")->tree.find("s")->value, "two");
  EXPECT_EQ(filled->find("signatures")->version, 4U);
  EXPECT_EQ(filled->txid(), second);
  EXPECT_FALSE(filled->find(map)->tree.find("c"));
  const auto after = store.begin_fresh();
  EXPECT_EQ(after->get("signatures", "s"), "two");
  EXPECT_TRUE(after->has(map, "c"));
}

TEST(Store, AFillHoldsWhatEarlierOnesWroteInOtherMaps)
{
  Store store;
  const auto below_first = store.reserve({});
  const auto below_second = store.reserve({});
  store.fill(below_first, {0, 1}, {{"one", {{"k", "1"}}}});
  const auto filled = store.fill(below_second, {0, 2}, {{"two", {{"k", "2"}}}});
  EXPECT_TRUE(filled->find("one"));
  EXPECT_TRUE(filled->find("two"));
}

TEST(Store, AnOrderThatFailsOrThrowsTakesNoPlace)
{
  Store store;
  const auto tx = store.begin();
  tx->put(map, "a", "1");
  EXPECT_THROW(
      (void)store.commit(*tx, [](Store::Order&) -> Result<void> { throw std::runtime_error("no memory"); }),
      std::runtime_error);
  const auto refused = store.commit(*tx, [](Store::Order&) { return fail(ErrorCode::unavailable, "not now"); });
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(store.head_seqno(), 0U);
  EXPECT_EQ(commit(store, tx), 1U);
}

TEST(StoreDeathTest, ReservationsAreNotFilledOutOfOrder)
{
  Store store;
  store.reserve({});
  const auto below = store.reserve({});
  EXPECT_DEATH(store.fill(below, {0, 2}, {{"signatures", {{"s", "2"}}}}), "in this order");
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
  store.fill(below, {0, 2}, signature);
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_TRUE(commit(store, other));
}

TEST(Store, WhatComesBehindAReservationWaitsForItsMaps)
{
  Store store;
  const auto signature = [](const char* text) { return WriteSet{{"signatures", {{"s", text}}}}; };
  store.fill(store.reserve({}), {0, 1}, signature("first"));
  const auto below = store.reserve({});
  const auto reader = store.begin_fresh();
  EXPECT_EQ(reader->get("signatures", "s"), "first");
  reader->put(map, "x", "1");
  const auto writer = store.begin_fresh();
  writer->put("signatures", "s", "not from the sequencer");
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_TRUE(refused(commit(store, writer)));
  store.fill(below, {0, 2}, signature("second"));
  EXPECT_TRUE(refused(commit(store, reader)));
  EXPECT_EQ(commit(store, writer), 3U);
}

TEST(StoreDeathTest, AFillMustNotOverwriteWhatIsLater)
{
  Store store;
  const auto below = store.reserve({});
  write(store, "signatures", {{"s", "1"}});
  EXPECT_DEATH(store.fill(below, {0, 1}, {{"signatures", {{"s", "2"}}}}), "a later write must not be overwritten");
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
  store.reset(committed, 2, [&] { seen = store.head_seqno(); });
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
  EXPECT_EQ(store.fill(below, {0, 3}, signature)->seqno(), 3U);
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
  state.apply(writes, {2, 5});
  store.reset(std::make_shared<const State>(state), 3);
  EXPECT_EQ(store.committed()->txid(), (TxId{2, 5}));
  WriteTransaction tx(store.committed());
  EXPECT_EQ(tx.get(map, "a"), "1");
  tx.put(map, "b", "1");
  EXPECT_EQ(store.commit(tx, {}), (TxId{3, 6}));
  EXPECT_EQ(store.begin_fresh()->base()->txid(), (TxId{3, 6}));
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
        while (!stop)
        {
          TxId reserved;
          const auto below = store.reserve([&](TxId txid) { reserved = txid; });
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
}
