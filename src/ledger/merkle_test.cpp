#include "ledger/merkle.h"

#include "base/encoding.h"
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <random>

namespace concordat::ledger
{
namespace
{
Digest leaf_of(std::uint64_t number)
{
  return number == 0 ? Digest{} : crypto::sha256("leaf " + std::to_string(number));
}

/// The tree of ledger-format.md §6.1, level by level: pairs are hashed, a last node without sibling goes up unchanged.
std::vector<std::vector<Digest>> naive_levels(std::uint64_t size)
{
  std::vector<std::vector<Digest>> levels(1);
  for (std::uint64_t i = 0; i < size; ++i)
    levels[0].push_back(leaf_of(i));
  while (levels.back().size() > 1)
  {
    std::vector<Digest> above;
    const auto& below = levels.back();
    for (std::size_t i = 0; i < below.size(); i += 2)
      above.push_back(
          i + 1 == below.size() ? below[i] : crypto::sha256({base::as_view(below[i]), base::as_view(below[i + 1])}));
    levels.push_back(std::move(above));
  }
  return levels;
}

Proof naive_path(const std::vector<std::vector<Digest>>& levels, std::uint64_t index)
{
  Proof proof;
  for (const auto& level : levels)
  {
    const auto sibling = index ^ 1;
    if (sibling < level.size())
      proof.push_back({sibling < index, level[sibling]});
    index >>= 1;
  }
  return proof;
}

MerkleTree tree_of(std::uint64_t size)
{
  MerkleTree tree;
  for (std::uint64_t i = 1; i < size; ++i)
    tree.append(leaf_of(i));
  return tree;
}

/// The value of the tree table, written from the text of §6.2 alone.
std::string naive_serialise(const std::vector<std::vector<Digest>>& levels, std::uint64_t flushed)
{
  const auto size = levels[0].size();
  std::string out;
  base::append_be<std::uint64_t>(out, size - flushed);
  base::append_be<std::uint64_t>(out, flushed);
  for (auto i = flushed; i < size; ++i)
    out.append(base::as_view(levels[0][i]));
  auto covered = flushed;
  for (std::size_t bit = 0; bit < 64; ++bit)
    if ((flushed >> bit & 1) != 0)
    {
      covered -= std::uint64_t{1} << bit;
      out.append(base::as_view(levels[bit][covered >> bit]));
    }
  return out;
}

TEST(MerkleTree, BeginsWithTheZeroLeafAsItsRoot)
{
  const MerkleTree tree;
  EXPECT_EQ(tree.size(), 1U);
  EXPECT_EQ(tree.root(), Digest{});
  EXPECT_EQ(tree.first_kept(), 0U);
  EXPECT_TRUE(tree.path(0).empty());
}

TEST(MerkleTree, AgreesWithANaiveTreeAtEverySizeAndFlushPoint)
{
  for (std::uint64_t size = 1; size <= 96; ++size)
  {
    const auto levels = naive_levels(size);
    const auto whole = tree_of(size);
    ASSERT_EQ(whole.root(), levels.back()[0]) << "size " << size;
    for (std::uint64_t flushed = 0; flushed <= size; ++flushed)
    {
      auto tree = whole;
      tree.flush(flushed);
      ASSERT_EQ(tree.size(), size);
      ASSERT_EQ(tree.first_kept(), flushed);
      ASSERT_EQ(tree.root(), levels.back()[0]);
      ASSERT_EQ(tree.serialise(), naive_serialise(levels, flushed)) << size << " flushed at " << flushed;
      for (auto index = flushed; index < size; ++index)
        ASSERT_EQ(tree.path(index), naive_path(levels, index)) << size << "," << flushed << "," << index;
    }
  }
}

TEST(MerkleTree, AgreesWithANaiveTreeUpTo320LeavesWithOneFlushPoint)
{
  for (std::uint64_t size = 97; size <= 320; ++size)
  {
    const auto levels = naive_levels(size);
    auto tree = tree_of(size);
    tree.flush(size * 2 / 3);
    ASSERT_EQ(tree.root(), levels.back()[0]);
    for (auto index = tree.first_kept(); index < size; ++index)
      ASSERT_EQ(tree.path(index), naive_path(levels, index));
  }
}

TEST(MerkleTree, APathFoldsToTheRoot)
{
  const auto tree = tree_of(100);
  for (std::uint64_t index = 0; index < 100; ++index)
    EXPECT_EQ(fold(leaf_of(index), tree.path(index)), tree.root());
  EXPECT_NE(fold(leaf_of(5), tree.path(6)), tree.root());
}

TEST(MerkleTree, SerialisedTreesComeBackWithEverythingThatTheyKeep)
{
  for (std::uint64_t size = 1; size <= 70; ++size)
    for (std::uint64_t flushed = 0; flushed <= size; ++flushed)
    {
      auto tree = tree_of(size);
      tree.flush(flushed);
      auto back = MerkleTree::deserialise(tree.serialise());
      ASSERT_TRUE(back) << back.error().describe();
      EXPECT_EQ(back->size(), size);
      EXPECT_EQ(back->first_kept(), flushed);
      EXPECT_EQ(back->root(), tree.root());
      back->append(leaf_of(size));
      EXPECT_EQ(back->root(), naive_levels(size + 1).back()[0]);
    }
}

TEST(MerkleTree, TruncatingGivesTheTreeOfThatSize)
{
  for (std::uint64_t size = 1; size <= 40; ++size)
    for (std::uint64_t flushed = 0; flushed <= size; ++flushed)
      for (auto to = std::max<std::uint64_t>(flushed, 1); to <= size; ++to)
      {
        auto tree = tree_of(size);
        tree.flush(flushed);
        tree.truncate(to);
        ASSERT_EQ(tree.size(), to);
        ASSERT_EQ(tree.root(), naive_levels(to).back()[0]);
      }
}

TEST(MerkleTree, RandomOperationsKeepAgreeingWithANaiveTree)
{
  const char* const given = std::getenv("CONCORDAT_TEST_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("CONCORDAT_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  MerkleTree tree;
  std::uint64_t size = 1;
  for (int step = 0; step < 3000; ++step)
  {
    const auto choice = random() % 10;
    if (choice < 7)
      tree.append(leaf_of(size++));
    else if (choice == 7)
      tree.flush(tree.first_kept() + random() % (size - tree.first_kept() + 1));
    else if (choice == 8)
    {
      size = std::max<std::uint64_t>(1, size - random() % (size - tree.first_kept() + 1) / 4);
      tree.truncate(size);
    }
    else
      ASSERT_EQ(tree.root(), naive_levels(size).back()[0]);
    ASSERT_EQ(tree.size(), size);
  }
}

TEST(MerkleTree, MalformedSerialisedTreesAreRefused)
{
  auto tree = tree_of(13);
  tree.flush(6);
  const auto good = tree.serialise();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(MerkleTree::deserialise(std::string_view(good).substr(0, size)));
  EXPECT_FALSE(MerkleTree::deserialise(good + '\0'));
  EXPECT_FALSE(MerkleTree::deserialise(std::string(16, '\0'))) << "no leaf at all";
  EXPECT_FALSE(MerkleTree::deserialise(std::string(16, '\xff')));
  EXPECT_FALSE(MerkleTree::deserialise(std::string(4096, '\xff')));
  std::string overflow;
  base::append_be<std::uint64_t>(overflow, (std::uint64_t{1} << 59) + 1); // times 32 is 32 again
  base::append_be<std::uint64_t>(overflow, 0);
  EXPECT_FALSE(MerkleTree::deserialise(overflow + std::string(32, '\0')));

  auto nonzero = MerkleTree().serialise();
  nonzero[20] = 1;
  EXPECT_FALSE(MerkleTree::deserialise(nonzero)) << "leaf 0 is zeros";
}

TEST(MerkleTree, APathFitsItsOwnLeafAndInAFullTreeNoOther)
{
  MerkleTree tree;
  for (std::uint64_t size = 1; size <= 64; ++size)
  {
    for (std::uint64_t index = 0; index < size; ++index)
    {
      const auto path = tree.path(index);
      EXPECT_TRUE(may_be_path_of(index, path)) << index << " of " << size;
      // Elsewhere a path may fit a leaf of a tree of another size.
      for (std::uint64_t other = 0; std::has_single_bit(size) && other < size; ++other)
        EXPECT_EQ(may_be_path_of(other, path), other == index) << index << " for " << other << " of " << size;
    }
    tree.append(crypto::sha256(std::to_string(size)));
  }
}

TEST(MerkleTree, APathOfAnotherShapeIsNoPathOfALeaf)
{
  const ProofStep left{true, {}};
  const ProofStep right{false, {}};
  EXPECT_TRUE(may_be_path_of(0, {}));
  EXPECT_FALSE(may_be_path_of(1, {})) << "a leaf with a left sibling";
  EXPECT_FALSE(may_be_path_of(0, {left}));
  EXPECT_FALSE(may_be_path_of(1, {right}));
  EXPECT_TRUE(may_be_path_of(2, {left})) << "promoted";
  EXPECT_FALSE(may_be_path_of(2, {left, right})) << "what was promoted once is the last of every row";
  EXPECT_TRUE(may_be_path_of(2, {right, left, right}));
  EXPECT_FALSE(may_be_path_of(2, {right, left, left}));
}
}
}
