#pragma once

#include "kv/page.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::kv
{
/// A page of references to pages one level below. Slot i holds a child and its separator: every key below child i is
/// ≥ separator i and < separator i+1. The first separator is empty; what bounds the first child stands further up.
///
/// A separator above `longest_inline` bytes lies in an allocation of its own that copies of the page share, so that
/// a page always has room for at least seven children, however long the keys are.
class Inner : public Page
{
public:
  static constexpr std::size_t longest_inline = 128;

  /// A page whose only child is `first`, whose reference it takes over.
  static Inner* make(unsigned level, Page* first);
  Inner* copy() const;
  void release_children();

  Page* child(unsigned slot) const
  {
    return slots()[slot].child;
  }
  /// Where the reference to a child stands, for replacing it.
  Page** link(unsigned slot)
  {
    return &slots()[slot].child;
  }
  std::string_view separator(unsigned slot) const;
  /// The slot of the child that `key` belongs to.
  unsigned find(std::string_view key) const;

  /// Takes over the reference to `child`.
  /// @pre slot > 0
  /// @return false if there is no room; nothing is changed then
  bool insert(unsigned slot, std::string_view separator, Page* child);
  /// Takes a child out; its reference goes to the caller.
  Page* remove(unsigned slot);

  /// The slot that splits the bytes in two halves; > 0.
  unsigned middle() const;
  /// Moves the children from `slot` on to a new page.
  /// @pre 0 < slot < count
  Inner* split_off(unsigned slot);
  /// Adds the children of the page to its right. They stay there as well.
  /// @param between  the separator between the two pages
  void append(const Inner& right, std::string_view between);

  /// What the children take, with `between` as the first separator.
  std::size_t used(std::string_view between = {}) const;
  static constexpr std::size_t capacity = page_bytes - header;

  /// CHECKs what must hold inside the page.
  void check() const;
  /// Bytes of the separators that lie outside of the page.
  std::size_t outside_bytes() const;

private:
  /// A long separator, shared by the pages that refer to it. Its bytes follow it.
  struct Outside
  {
    std::atomic<std::uint32_t> references{1};
    std::uint32_t size;

    explicit Outside(std::uint32_t length) : size(length) {}
    const char* bytes() const
    {
      return reinterpret_cast<const char*>(this + 1);
    }
    char* bytes()
    {
      return reinterpret_cast<char*>(this + 1);
    }
    static Outside* make(std::string_view text);
    static void release(Outside* outside);
  };

  struct Slot
  {
    Page* child;
    std::uint16_t offset; ///< of the separator, or of the pointer to it
    std::uint16_t size;   ///< `is_outside` if there is a pointer
  };
  static constexpr std::uint16_t is_outside = 0xffff;

  explicit Inner(unsigned level) : Page(level, page_bytes) {}

  Slot* slots()
  {
    return reinterpret_cast<Slot*>(at(header));
  }
  const Slot* slots() const
  {
    return reinterpret_cast<const Slot*>(at(header));
  }
  std::size_t slots_end() const
  {
    return header + count_ * sizeof(Slot);
  }
  static std::size_t stored_bytes(std::uint16_t size)
  {
    return size == is_outside ? sizeof(Outside*) : size;
  }
  Outside* outside_at(unsigned slot) const;
  /// Gives up the separator of a slot, which then is empty.
  void drop_separator(unsigned slot);
  void compact();
};
}
