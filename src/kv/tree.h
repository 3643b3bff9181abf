#pragma once

#include "concordat/transaction.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::kv
{
class Inner;
class Leaf;
class Page;

/// An ordered map from bytes to (version, bytes): a copy-on-write B+tree of packed pages of about 2 KiB.
///
/// Copying a tree costs O(1) and gives an independent snapshot: pages are shared until one side changes them, and
/// changed in place where only one tree holds them. A Tree object that nobody changes may be read and copied by any
/// number of threads; one that is changed belongs to one thread. Different objects that share pages may be used,
/// changed and destroyed in different threads (page reference counts are atomic).
class Tree
{
public:
  struct Found
  {
    Seqno version;
    std::string_view value; ///< valid while this tree is neither changed nor destroyed
  };

  /// Enough for more entries than can be addressed: a page has at least seven children where it was split.
  static constexpr int max_height = 16;

  Tree() = default;
  Tree(const Tree& other);
  Tree(Tree&& other) noexcept;
  Tree& operator=(Tree other) noexcept;
  ~Tree();

  std::optional<Found> find(std::string_view key) const;
  /// Inserts or replaces. Any length of key and value below 4 GiB; neither may lie in this tree.
  void put(std::string_view key, Seqno version, std::string_view value);
  /// @return false if there was no such key
  bool erase(std::string_view key);
  std::uint64_t size() const
  {
    return size_;
  }
  /// Both hold the same pages: nothing can differ between them.
  bool same_as(const Tree& other) const
  {
    return root_ == other.root_;
  }
  /// Sum of the bytes allocated for pages reachable from here, counted whole even where shared. Walks the tree.
  std::uint64_t memory() const;
  /// Checks order, fill, separators and counts of every page; for tests and simulation. CHECKs on a violation.
  void check() const;

  /// Walks forward. Valid while the tree is neither changed nor destroyed.
  class Iterator
  {
  public:
    /// At no entry.
    Iterator() = default;
    bool valid() const
    {
      return depth_ > 0;
    }
    void next();
    std::string_view key() const;
    std::string_view value() const;
    Seqno version() const;

  private:
    friend class Tree;
    struct Level
    {
      const Page* page = nullptr;
      std::uint32_t slot = 0;

      bool operator==(const Level&) const = default;
    };
    const Leaf& leaf() const;
    void descend(const Page* page);
    void next_leaf();

    Level levels_[max_height];
    int depth_ = 0; ///< levels in use, the last one a leaf; 0 at the end
  };

  /// The first entry whose key is ≥ `from`.
  Iterator lower_bound(std::string_view from) const;

  /// Whether both trees hold the same keys at the same versions in from ≤ key < to (`to` absent: up to the end).
  /// Pages that both share are passed over.
  static bool
  same_range(const Tree& a, const Tree& b, std::string_view from, std::optional<std::string_view> to = std::nullopt);

  /// An entry of `b` that `a` does not have at that version; nothing for a key that only `a` has.
  using Difference = std::function<void(std::string_view key, const std::optional<Found>& in_b)>;
  /// Calls `differs` for each difference, in the order of keys. Pages that both share are passed over, on every level,
  /// so that it takes time by what lies between the two, not by their size.
  /// @return the pages and entries that were looked at
  static std::uint64_t differences(const Tree& a, const Tree& b, const Difference& differs);

private:
  /// The way from the root to a leaf: at each level the page, and the slot of the child that was taken.
  struct Path
  {
    Inner* pages[max_height];
    unsigned slots[max_height];
    int depth = 0;
  };

public:
  /// Writes many entries to a tree, fastest with ascending keys: it remembers the leaf where the last one went.
  /// Nothing else may use the tree while a Writer of it lives.
  class Writer
  {
  public:
    explicit Writer(Tree& tree) : tree_(tree) {}
    /// As Tree::put.
    void put(std::string_view key, Seqno version, std::string_view value);
    /// As Tree::erase.
    bool erase(std::string_view key);
    /// Where the version of an entry stands: 8 bytes that may be overwritten, for which nothing in the tree but that
    /// entry changes. Valid until the tree is changed or copied.
    /// @pre the key is there
    char* version_place(std::string_view key);

  private:
    /// Makes `leaf_` the page that `key` belongs to, writable.
    void seek(std::string_view key);

    Tree& tree_;
    Path path_;
    Leaf* leaf_ = nullptr;                  ///< where the last entry went; null if that is not known any more
    std::optional<std::string_view> bound_; ///< the separator behind that leaf
  };

private:
  /// Makes room in a leaf, where an entry does not fit at `slot`, by splitting it.
  /// @return true if the entry is in; false if only the way is free for another try
  bool split(Path& path, Leaf* leaf, unsigned slot, std::string_view key, Seqno version, std::string_view value);
  /// Puts `right` behind the page that the path leads to.
  void add_sibling(Path& path, std::string separator, Page* right);
  /// Where the reference to the page stands that the path leads to.
  Page** link(const Path& path);
  /// After an erase: takes out empty pages, and joins sparse ones with a neighbour.
  void shrink(Path& path, Leaf* leaf);

  Page* root_ = nullptr;
  std::uint64_t size_ = 0;
};
}
