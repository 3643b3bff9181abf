#include "ledger/merkle.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"

#include <bit>
#include <cstring>

namespace concordat::ledger
{
namespace
{
Digest parent(const Digest& left, const Digest& right)
{
  return crypto::sha256({base::as_view(left), base::as_view(right)});
}

/// Adds leaf number `index` to the complete subtrees over the leaves before it, largest first. Every trailing one bit
/// of `index` is a complete subtree of the same size as what is to its right by then.
void push(std::vector<Digest>& peaks, std::uint64_t index, Digest hash)
{
  for (; (index & 1) != 0; index >>= 1)
  {
    hash = parent(peaks.back(), hash);
    peaks.pop_back();
  }
  peaks.push_back(hash);
}

void append(std::string& out, const Digest& digest)
{
  out.append(base::as_view(digest));
}

Digest read_digest(std::string_view bytes, std::uint64_t number)
{
  Digest digest;
  std::memcpy(digest.data(), bytes.data() + number * digest.size(), digest.size());
  return digest;
}

constexpr std::size_t digest_size = std::tuple_size_v<Digest>;
constexpr std::uint64_t max_leaves = std::uint64_t{1} << 63;
}

MerkleTree::MerkleTree()
{
  append(Digest{});
}

void MerkleTree::append(const Digest& leaf)
{
  push(peaks_, size(), leaf);
  leaves_.push_back(leaf);
}

std::uint64_t MerkleTree::size() const
{
  return flushed_ + leaves_.size();
}

Digest MerkleTree::root() const
{
  Digest root = peaks_.back();
  for (auto peak = peaks_.size() - 1; peak-- > 0;)
    root = parent(peaks_[peak], root);
  return root;
}

std::uint64_t MerkleTree::first_kept() const
{
  return flushed_;
}

void MerkleTree::flush(std::uint64_t index)
{
  CHECK(index <= size(), "only leaves that are in the tree can be flushed");
  if (index <= flushed_)
    return;
  const auto count = static_cast<std::ptrdiff_t>(index - flushed_);
  for (std::ptrdiff_t i = 0; i < count; ++i)
    push(left_, flushed_ + static_cast<std::uint64_t>(i), leaves_[static_cast<std::size_t>(i)]);
  leaves_.erase(leaves_.begin(), leaves_.begin() + count);
  flushed_ = index;
}

void MerkleTree::truncate(std::uint64_t size)
{
  CHECK(size >= 1 && flushed_ <= size && size <= this->size(), "leaves that were flushed cannot be cut");
  if (size == this->size())
    return;
  leaves_.resize(static_cast<std::size_t>(size - flushed_));
  peaks_ = left_;
  for (std::size_t i = 0; i < leaves_.size(); ++i)
    push(peaks_, flushed_ + i, leaves_[i]);
}

const Digest& MerkleTree::leaf(std::uint64_t index) const
{
  CHECK(flushed_ <= index && index < size(), "only kept leaves can be read");
  return leaves_[static_cast<std::size_t>(index - flushed_)];
}

Digest MerkleTree::subtree(std::uint64_t begin, std::uint64_t end) const
{
  // A subtree of flushed leaves is asked for only as the sibling of one that holds a kept leaf, so its parent is not
  // wholly flushed and it is itself one of `left_`. The set bits of `begin` count the larger ones before it.
  if (end <= flushed_)
    return left_[static_cast<std::size_t>(std::popcount(begin))];
  if (end - begin == 1)
    return leaf(begin);
  const auto middle = begin + std::bit_floor(end - begin - 1);
  return parent(subtree(begin, middle), subtree(middle, end));
}

Proof MerkleTree::path(std::uint64_t index) const
{
  CHECK(flushed_ <= index && index < size(), "only kept leaves have a path");
  Proof proof;
  std::uint64_t begin = 0;
  std::uint64_t end = size();
  while (end - begin > 1)
  {
    const auto middle = begin + std::bit_floor(end - begin - 1);
    if (index < middle)
    {
      proof.push_back({false, subtree(middle, end)});
      end = middle;
    }
    else
    {
      proof.push_back({true, subtree(begin, middle)});
      begin = middle;
    }
  }
  return {proof.rbegin(), proof.rend()};
}

std::string MerkleTree::serialise() const
{
  std::string out;
  out.reserve(16 + digest_size * (leaves_.size() + left_.size()));
  base::append_be<std::uint64_t>(out, leaves_.size());
  base::append_be<std::uint64_t>(out, flushed_);
  for (const auto& kept : leaves_)
    ledger::append(out, kept);
  for (auto subtree = left_.rbegin(); subtree != left_.rend(); ++subtree)
    ledger::append(out, *subtree);
  return out;
}

Result<MerkleTree> MerkleTree::deserialise(std::string_view bytes)
{
  base::Reader reader(bytes);
  const auto kept = reader.be<std::uint64_t>();
  const auto flushed = reader.be<std::uint64_t>();
  if (!kept || !flushed)
    return fail(ErrorCode::corrupt, "a serialised Merkle tree is shorter than its two counts");
  if (*flushed >= max_leaves || *kept > reader.left() / digest_size || (*kept == 0 && *flushed == 0))
    return fail(
        ErrorCode::corrupt, "a serialised Merkle tree of " + std::to_string(bytes.size()) + " bytes says it holds " +
                                std::to_string(*kept) + " leaves after " + std::to_string(*flushed));
  const auto extra = static_cast<std::uint64_t>(std::popcount(*flushed));
  if (reader.left() != (*kept + extra) * digest_size)
    return fail(
        ErrorCode::corrupt, "a serialised Merkle tree has " + std::to_string(reader.left()) +
                                " bytes of hashes where " + std::to_string((*kept + extra) * digest_size) + " belong");

  MerkleTree tree;
  tree.leaves_.clear();
  tree.peaks_.clear();
  tree.flushed_ = *flushed;
  const auto hashes = reader.rest();
  for (auto number = extra; number-- > 0;)
    tree.left_.push_back(read_digest(hashes, *kept + number));
  tree.peaks_ = tree.left_;
  tree.leaves_.reserve(static_cast<std::size_t>(*kept));
  for (std::uint64_t number = 0; number < *kept; ++number)
    tree.append(read_digest(hashes, number));
  if (*flushed == 0 && tree.leaves_.front() != Digest{})
    return fail(ErrorCode::corrupt, "leaf 0 of a serialised Merkle tree is not 32 zero bytes");
  return tree;
}

Digest fold(Digest leaf, const Proof& proof)
{
  for (const auto& step : proof)
    leaf = step.sibling_is_left ? parent(step.sibling, leaf) : parent(leaf, step.sibling);
  return leaf;
}

bool may_be_path_of(std::uint64_t index, const Proof& proof)
{
  // A node with an odd number has a sibling to its left. One with an even number has one to its right, unless it is the
  // last of its row and is promoted; from then on it is the last of every row.
  bool is_last = false;
  for (const auto& step : proof)
  {
    if (step.sibling_is_left)
    {
      if (index == 0)
        return false;
      const auto promoted = std::countr_zero(index);
      is_last = is_last || promoted > 0;
      index >>= promoted;
    }
    else if ((index & 1) != 0 || is_last)
      return false;
    index >>= 1;
  }
  return index == 0;
}
}
