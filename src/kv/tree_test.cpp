#include "kv/tree.h"

#include "kv/test_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace concordat::kv
{
namespace
{
struct Versioned
{
  Seqno version;
  std::string value;
};
using Model = std::map<std::string, Versioned>;

void expect_same(const Tree& tree, const Model& model)
{
  tree.check();
  ASSERT_EQ(tree.size(), model.size());
  auto at = tree.lower_bound("");
  for (const auto& [key, entry] : model)
  {
    ASSERT_TRUE(at.valid());
    ASSERT_EQ(at.key(), key);
    ASSERT_EQ(at.version(), entry.version);
    ASSERT_EQ(at.value(), entry.value);
    at.next();
  }
  ASSERT_FALSE(at.valid());
}

/// Keys that meet often, with long common beginnings, of all lengths, some far longer than a page.
std::string any_key(TestRandom& random, unsigned space)
{
  const auto n = random.below(space);
  const std::string text = std::to_string(n * 2654435761U % 4294967291U);
  switch (n % 16)
  {
  case 0:
    return text + std::string(n % 400, 'x');
  case 1:
    return std::string(150, 'p') + text;
  case 2:
    return std::string(n % 3, '\0');
  case 3:
    return n % 64 == 3 ? std::string(3000, 'q') + text : text;
  default:
    return text;
  }
}

std::string any_value(TestRandom& random)
{
  const auto kind = random.below(100);
  if (kind < 80)
    return random.bytes(random.below(16));
  if (kind < 95)
    return random.bytes(random.below(300));
  if (kind < 99)
    return random.bytes(random.below(2200));
  return random.bytes(random.below(20000));
}

struct Phase
{
  const char* name;
  unsigned space;
  unsigned erase_percent;
};
}

TEST(Tree, IsEmptyAtFirst)
{
  Tree tree;
  tree.check();
  EXPECT_EQ(tree.size(), 0U);
  EXPECT_FALSE(tree.find(""));
  EXPECT_FALSE(tree.erase("a"));
  EXPECT_FALSE(tree.lower_bound("").valid());
  EXPECT_EQ(tree.memory(), 0U);
}

TEST(Tree, BehavesLikeAnOrderedMapAndSnapshotsStayAsTheyWere)
{
  TestRandom random;
  const Phase phases[] = {{"grow", 3000, 20}, {"churn", 3000, 50}, {"rewrite", 100, 10}, {"shrink", 3000, 90}};
  Tree tree;
  Model model;
  std::vector<std::pair<Tree, Model>> snapshots;
  Seqno version = 0;
  for (const auto& phase : phases)
  {
    SCOPED_TRACE(phase.name);
    for (int step = 0; step < 6000; ++step)
    {
      const std::string key = any_key(random, phase.space);
      if (random.chance(phase.erase_percent))
      {
        ASSERT_EQ(tree.erase(key), model.erase(key) == 1);
      }
      else
      {
        const std::string value = any_value(random);
        tree.put(key, ++version, value);
        model[key] = {version, value};
      }
      if (random.chance(2))
      {
        const std::string probe = any_key(random, phase.space);
        const auto found = tree.find(probe);
        const auto expected = model.find(probe);
        ASSERT_EQ(found.has_value(), expected != model.end());
        if (found)
        {
          ASSERT_EQ(found->version, expected->second.version);
          ASSERT_EQ(found->value, expected->second.value);
        }
        const auto from = tree.lower_bound(probe);
        const auto after = model.lower_bound(probe);
        ASSERT_EQ(from.valid(), after != model.end());
        if (from.valid())
        {
          ASSERT_EQ(from.key(), after->first);
        }
      }
      if (random.below(200) == 0)
        tree.check();
      if (random.below(600) == 0)
        snapshots.emplace_back(tree, model);
      if (random.below(700) == 0 && !snapshots.empty())
      {
        const auto chosen = snapshots.begin() + static_cast<std::ptrdiff_t>(random.below(snapshots.size()));
        expect_same(chosen->first, chosen->second);
        snapshots.erase(chosen);
      }
      // Some snapshots become the tree that goes on.
      if (random.below(3000) == 0 && !snapshots.empty())
      {
        tree = snapshots.back().first;
        model = snapshots.back().second;
      }
    }
    expect_same(tree, model);
  }
  for (const auto& [snapshot, expected] : snapshots)
    expect_same(snapshot, expected);

  std::vector<std::string> keys;
  for (const auto& [key, entry] : model)
    keys.push_back(key);
  std::shuffle(keys.begin(), keys.end(), random.generator());
  for (const auto& key : keys)
    ASSERT_TRUE(tree.erase(key));
  tree.check();
  EXPECT_EQ(tree.size(), 0U);
  EXPECT_EQ(tree.memory(), 0U);
  for (const auto& [snapshot, expected] : snapshots)
    expect_same(snapshot, expected);
}

TEST(Tree, WriterTakesKeysInAnyOrder)
{
  TestRandom random;
  Tree tree;
  Model model;
  for (Seqno batch = 1; batch <= 60; ++batch)
  {
    const Tree before = tree;
    std::vector<std::pair<std::string, Versioned>> changes;
    for (int i = 0; i < 200; ++i)
      changes.push_back({any_key(random, 5000), {batch, any_value(random)}});
    const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (batch % 3 != 0)
      std::sort(changes.begin(), changes.end(), by_key);
    if (batch % 3 == 1)
      std::reverse(changes.begin(), changes.end());
    Tree::Writer writer(tree);
    for (const auto& [key, entry] : changes)
    {
      if (random.chance(25))
      {
        ASSERT_EQ(writer.erase(key), model.erase(key) == 1);
        continue;
      }
      writer.put(key, entry.version, entry.value);
      model[key] = entry;
    }
    expect_same(tree, model);
  }
}

TEST(Tree, TakesValuesOfAnySize)
{
  Tree tree;
  Model model;
  for (const std::size_t size : {0U,    1U,    127U,  128U,  1900U,  2000U,  2010U,  2011U,  2012U,  2013U,
                                 2014U, 2015U, 2040U, 4096U, 16383U, 16384U, 65535U, 65536U, 70000U, 3000000U})
  {
    const std::string key = "key" + std::to_string(size);
    model[key] = {size, std::string(size, 'v')};
    tree.put(key, size, model[key].value);
    expect_same(tree, model);
  }
  const Tree snapshot = tree;
  const Model before = model;
  for (auto& [key, entry] : model)
  {
    entry = {1, std::string(entry.value.size() / 2 + 3, 'w')};
    tree.put(key, 1, entry.value);
    expect_same(tree, model);
  }
  expect_same(snapshot, before);
}

TEST(Tree, TakesLongKeysWithLongCommonBeginnings)
{
  Tree tree;
  Model model;
  for (unsigned i = 0; i < 400; ++i)
  {
    const std::string key = std::string(5000, 'k') + numbered(i * 7919U % 400U);
    model[key] = {i, "v"};
    tree.put(key, i, "v");
  }
  const Tree snapshot = tree;
  expect_same(tree, model);
  const Model before = model;
  while (model.size() > 10)
  {
    tree.erase(model.begin()->first);
    model.erase(model.begin());
  }
  expect_same(tree, model);
  expect_same(snapshot, before);
}

TEST(Tree, ErasingAnAbsentKeyCopiesNothing)
{
  Tree tree;
  for (std::uint64_t i = 0; i < 1000; ++i)
    tree.put(numbered(i), 1, "v");
  const Tree snapshot = tree;
  EXPECT_FALSE(tree.erase("absent"));
  EXPECT_TRUE(tree.same_as(snapshot));
  tree.put(numbered(3), 2, "v");
  EXPECT_FALSE(tree.same_as(snapshot));
}

TEST(Tree, SameRangeSeesWhatIsDifferent)
{
  TestRandom random;
  Tree tree;
  Model model;
  const auto key = [&random] { return numbered(random.below(20000)); };
  for (int i = 0; i < 10000; ++i)
  {
    const auto k = key();
    tree.put(k, 1, "value");
    model[k] = {1, "value"};
  }
  int differences = 0;
  for (Seqno round = 2; round < 300; ++round)
  {
    Tree changed = tree;
    Model changed_model = model;
    const auto place = random.below(20000);
    for (int i = 0; i < 3; ++i)
    {
      const auto k = numbered(place + random.below(100));
      if (random.chance(50))
      {
        changed.put(k, round, "value");
        changed_model[k] = {round, "value"};
      }
      else
      {
        changed.erase(k);
        changed_model.erase(k);
      }
    }
    auto from = numbered(place - std::min<std::uint64_t>(place, random.below(300)));
    auto to = numbered(place + random.below(300));
    const auto inside = [&](const Model& m)
    {
      std::vector<std::pair<std::string, Seqno>> entries;
      for (auto at = m.lower_bound(from); at != m.end() && at->first < to; ++at)
        entries.emplace_back(at->first, at->second.version);
      return entries;
    };
    const bool same = inside(model) == inside(changed_model);
    differences += same ? 0 : 1;
    ASSERT_EQ(Tree::same_range(tree, changed, from, to), same);
    ASSERT_EQ(Tree::same_range(changed, tree, from, to), same);
  }
  EXPECT_GT(differences, 30);
  Tree one;
  Tree other;
  one.put("a", 1, "value");
  other.put("b", 1, "value");
  EXPECT_FALSE(Tree::same_range(one, other, ""));
  EXPECT_TRUE(Tree::same_range(one, other, "c"));
  EXPECT_TRUE(Tree::same_range(tree, tree, ""));
  EXPECT_FALSE(Tree::same_range(tree, Tree(), ""));
  EXPECT_TRUE(Tree::same_range(Tree(), Tree(), ""));
}
}
