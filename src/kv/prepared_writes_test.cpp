#include "kv/prepared_writes.h"

#include "kv/test_random.h"
#include "kv/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace concordat::kv
{
using namespace test;

namespace
{
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
}
