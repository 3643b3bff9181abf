#include "kv/test_store.h"

namespace concordat::kv
{
using namespace test;

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
  const auto result = store.commit(*two, [&](Store::Order&) { return called = true, Result<void>(); });
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
}
