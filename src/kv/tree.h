#pragma once

#include "concordat/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::kv
{
class Page;

/// An ordered map from bytes to (version, bytes): a copy-on-write B+tree of packed pages of about 2 KiB.
///
/// Copying a tree costs O(1) and gives an independent snapshot: pages are shared until one side changes them, and
/// changed in place where only one tree holds them. One thread at a time may use one Tree object; different objects
/// that share pages may be used, copied and destroyed in different threads (page reference counts are atomic).
class Tree
{
public:
  struct Found
  {
    Seqno version;
    std::string_view value;  ///< valid while this tree is neither changed nor destroyed
  };

  Tree() = default;
  Tree(const Tree& other);
  Tree(Tree&& other) noexcept;
  Tree& operator=(Tree other) noexcept;
  ~Tree();

  std::optional<Found> find(std::string_view key) const;
  /// Inserts or replaces. Any length of key and value below 4 GiB.
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
    bool valid() const;
    void next();
    std::string_view key() const;
    std::string_view value() const;
    Seqno version() const;

  private:
    friend class Tree;
    static constexpr int max_height = 16;
    struct Level
    {
      const Page* page = nullptr;
      std::uint32_t slot = 0;
    };
    Level levels_[max_height];
    int depth_ = 0;
  };

  /// The first entry whose key is ≥ `from`.
  Iterator lower_bound(std::string_view from) const;

private:
  Page* root_ = nullptr;
  std::uint64_t size_ = 0;
};
}
