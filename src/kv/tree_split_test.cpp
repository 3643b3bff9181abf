#include "kv/tree.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace concordat::kv
{
namespace
{
/// Keys so long, and alike for so long, that a page of separators holds few of them: a tree of some ten entries has
/// two levels, and one of some tens has three.
std::string long_key(std::size_t number)
{
  std::string digits = std::to_string(number);
  digits.insert(0, 8 - digits.size(), '0');
  return std::string(100, 'k') + digits;
}

using Model = std::map<std::string, std::string>;

void expect_same(const Tree& tree, const Model& model)
{
  tree.check();
  ASSERT_EQ(tree.size(), model.size());
  auto expected = model.begin();
  for (auto at = tree.lower_bound(""); at.valid(); at.next(), ++expected)
  {
    ASSERT_EQ(at.key(), expected->first);
    ASSERT_EQ(at.value(), expected->second);
  }
  for (const auto& [key, value] : model)
  {
    const auto found = tree.find(key);
    ASSERT_TRUE(found) << key;
    ASSERT_EQ(found->value, value);
  }
}

void put(Tree& tree, Model& model, std::size_t number, std::size_t value_size)
{
  const std::string value(value_size, static_cast<char>('a' + number % 26));
  tree.put(long_key(number), number, value);
  model[long_key(number)] = value;
}
}

// A split may go wrong at one place of a page only: every place is tried, in trees of every size around those at which
// pages of each level are full.
TEST(Split, KeepsEveryEntryWhereverItHappens)
{
  constexpr std::size_t apart = 10;
  constexpr std::size_t value_size = 700;
  Tree grown;
  Model held;
  for (std::size_t size = 0; size < 90; ++size)
  {
    for (std::size_t gap = 0; gap <= size; ++gap)
    {
      Tree tree = grown;
      Model model = held;
      for (const std::size_t inside : {5, 4, 6})
        put(tree, model, gap * apart + inside, value_size);
      ASSERT_NO_FATAL_FAILURE(expect_same(tree, model)) << size << " entries, split at " << gap;
    }
    put(grown, held, (size + 1) * apart, value_size);
  }
  expect_same(grown, held);
}

// Entries of many sizes, so that pages are split into unequal halves, at every place.
TEST(Split, FindsRoomForEntriesOfAnySizeAtAnyPlace)
{
  constexpr std::size_t apart = 2;
  Tree full;
  Model held;
  for (std::size_t i = 1; i <= 12; ++i)
    put(full, held, i * apart, 20);
  for (std::size_t place = 0; place <= 12; ++place)
    for (std::size_t value_size = 0; value_size < 2100; value_size += 13)
    {
      Tree tree = full;
      Model model = held;
      put(tree, model, place * apart + 1, value_size);
      put(tree, model, place * apart + 1, 2100 - value_size);
      ASSERT_NO_FATAL_FAILURE(expect_same(tree, model)) << value_size << " bytes at " << place;
    }
}
}
