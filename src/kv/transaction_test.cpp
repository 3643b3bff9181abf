#include "kv/test_store.h"

namespace concordat::kv
{
using namespace test;

TEST(State, KeepsVersionsOfKeysAndMaps)
{
  State state;
  WriteSet first;
  first["b"]["k"] = "1";
  first["a"]["k"] = "2";
  state.apply(first, {2, 3});
  WriteSet second;
  second["b"]["k"] = std::nullopt;
  second["b"]["absent"] = std::nullopt;
  second["c"]["only removed"] = std::nullopt;
  state.apply(second, {2, 5});

  EXPECT_EQ(state.txid(), (TxId{2, 5}));
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
  state.apply(late, {2, 4});
  EXPECT_EQ(state.seqno(), 5U);
  EXPECT_EQ(state.find("b")->version, 5U);
  EXPECT_EQ(state.find("b")->tree.find("late")->version, 4U);
}

TEST(State, IsRestoredFromASnapshot)
{
  State state;
  state.restore_map("m", 7).put("k", 5, "v");
  state.restore_map("empty", 2);
  state.restore_txid({2, 9});
  EXPECT_EQ(state.seqno(), 9U);
  EXPECT_EQ(state.find("m")->version, 7U);
  EXPECT_EQ(state.find("m")->tree.find("k")->version, 5U);
  EXPECT_EQ(state.find("empty")->version, 2U);

  Store store;
  store.reset(std::make_shared<const State>(state), 2);
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
  tx->put(map, "b", "and again");
  EXPECT_EQ(tx->get(map, "b"), "and again");
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
}
