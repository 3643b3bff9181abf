#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// One step from a leaf towards the root.
struct ProofStep
{
  bool sibling_is_left;
  Digest sibling;

  bool operator==(const ProofStep&) const = default;
};
using Proof = std::vector<ProofStep>;

/// The Merkle tree over the ledger (ledger-format.md §6): leaf 0 is 32 zero bytes, leaf n stands for seqno n.
///
/// Keeps the leaves from `first_kept()` on and, of those before, only the roots of complete subtrees; the root is
/// had in O(log n). Used by one thread.
class MerkleTree
{
public:
  /// A tree with the zero leaf alone.
  MerkleTree();

  void append(const Digest& leaf);
  std::uint64_t size() const; ///< number of leaves, the zero leaf included: the seqno of the next entry
  Digest root() const;
  std::uint64_t first_kept() const;
  /// Forgets leaves below `index`. No effect if they are forgotten already. @pre index ≤ size()
  void flush(std::uint64_t index);
  /// Forgets leaves from `size` on. @pre first_kept() ≤ size ≤ size(), and size ≥ 1
  void truncate(std::uint64_t size);
  /// A leaf that is kept. @pre first_kept() ≤ index < size()
  const Digest& leaf(std::uint64_t index) const;
  /// The path of a kept leaf in the tree as it is now; costs O(kept leaves). @pre first_kept() ≤ index < size()
  Proof path(std::uint64_t index) const;

  /// The value of the `tree` table (ledger-format.md §6.2).
  std::string serialise() const;
  static Result<MerkleTree> deserialise(std::string_view bytes);

  /// The roots of the complete subtrees over the forgotten leaves, largest first.
  const std::vector<Digest>& forgotten() const
  {
    return left_;
  }

private:
  Digest subtree(std::uint64_t begin, std::uint64_t end) const;

  std::uint64_t flushed_ = 0;
  std::vector<Digest> leaves_; ///< from flushed_ on
  std::vector<Digest> left_;   ///< complete subtrees that make up leaves 0 … flushed_ − 1, largest first
  std::vector<Digest> peaks_;  ///< complete subtrees that make up all leaves, largest first
};

/// Folds a path onto a leaf.
Digest fold(Digest leaf, const Proof& proof);

/// Whether a path can lead from leaf number `index` to the root of some tree.
bool may_be_path_of(std::uint64_t index, const Proof& proof);
}
