#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace concordat::kv
{
/// Bytes of a page unless one entry alone needs more: an odd number of cache lines, so that the headers of all pages
/// do not compete for the same few places in the caches.
constexpr std::size_t page_bytes = std::size_t{33} * 64;

/// What leaves and inner pages have in common: one allocation that starts with a 16-byte header, goes on with an array
/// of slots in key order that grows upwards, and ends with a heap of bytes that grows downwards.
///
/// A page is immutable while more than one holder refers to it. Whoever reached it through pages that all have one
/// reference owns it, and may change it in place.
class Page
{
public:
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  bool is_leaf() const
  {
    return level_ == 0;
  }
  /// Height above the leaves.
  unsigned level() const
  {
    return level_;
  }
  unsigned count() const
  {
    return count_;
  }
  /// What was allocated for it.
  std::size_t bytes() const
  {
    return std::size_t{units_} * unit;
  }

  bool shared() const
  {
    return references_.load(std::memory_order_acquire) != 1;
  }
  void retain() const
  {
    references_.fetch_add(1, std::memory_order_relaxed);
  }
  /// Gives up one reference. With the last one goes the page, and so do its references to the pages below;
  /// recursion is as deep as the tree is high.
  static void release(Page* page);
  /// A page of the same content that only the caller holds.
  Page* copy() const;

protected:
  static constexpr std::size_t unit = 8;
  static constexpr std::size_t header = 16;

  Page(unsigned level, std::size_t bytes);
  ~Page() = default;

  static void* allocate(std::size_t bytes);
  static void free(Page* page, std::size_t bytes);

  char* at(std::size_t offset)
  {
    return reinterpret_cast<char*>(this) + offset;
  }
  const char* at(std::size_t offset) const
  {
    return reinterpret_cast<const char*>(this) + offset;
  }

  mutable std::atomic<std::uint32_t> references_{1};
  std::uint32_t units_;
  std::uint16_t count_ = 0;
  std::uint8_t level_;
  std::uint8_t last_insert_ = 0xff; ///< slot of the last insertion: tells runs of ascending keys (leaves only)
  std::uint16_t heap_;              ///< where the lowest byte of the heap is
  std::uint16_t garbage_ = 0;       ///< bytes in the heap that no slot refers to any more
};
static_assert(sizeof(Page) == 16);
}
