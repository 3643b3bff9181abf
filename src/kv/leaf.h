#pragma once

#include "concordat/transaction.h"
#include "kv/page.h"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace concordat::kv
{
/// A page of entries in key order. An entry in the heap: version (8 bytes), lengths of key and value (LEB128, one
/// byte each below 128), key, value. A page larger than `page_bytes` holds one entry that fits into no other.
class Leaf : public Page
{
public:
  struct Entry
  {
    std::string_view key;
    Seqno version;
    std::string_view value;
  };
  struct Position
  {
    unsigned slot;
    bool found;
  };

  /// An empty page that a first entry of these lengths fits into.
  static Leaf* make(std::size_t key_size, std::size_t value_size);
  Leaf* copy() const;

  std::string_view key(unsigned slot) const;
  Entry entry(unsigned slot) const;
  /// Where the version of an entry stands: 8 bytes, which may be overwritten while only the caller holds the page.
  char* version_place(unsigned slot)
  {
    return at(slots()[slot]);
  }
  /// The first slot whose key is ≥ `key`.
  Position find(std::string_view key) const;

  /// @return false if there is no room; nothing is changed then
  bool insert(unsigned slot, std::string_view key, Seqno version, std::string_view value);
  /// Overwrites the entry at `slot`, whose key is `key`.
  /// @return false if there is no room; the entry is removed then
  bool replace(unsigned slot, std::string_view key, Seqno version, std::string_view value);
  void remove(unsigned slot);

  /// Where to split so that one more entry of `size` bytes at `slot` finds room: how many entries the left page has
  /// afterwards, the new one counted. 0 if two pages cannot hold them all.
  unsigned choose_split(unsigned slot, std::size_t size) const;
  /// Moves the entries from `slot` on to a new page.
  Leaf* split_off(unsigned slot);
  /// Adds the entries of the page to its right, which must fit. They stay there as well.
  void append(const Leaf& right);

  /// What the entry takes, its slot included.
  static std::size_t entry_bytes(std::size_t key_size, std::size_t value_size);
  /// What the entries and their slots take.
  std::size_t used() const;
  /// What entries and slots may take in a page of the usual size.
  static constexpr std::size_t capacity = page_bytes - header;

  /// CHECKs what must hold inside the page.
  void check() const;

private:
  using Slot = std::uint16_t;

  explicit Leaf(std::size_t bytes) : Page(0, bytes) {}

  bool oversize() const
  {
    return bytes() > page_bytes;
  }
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
  std::size_t entry_bytes_at(unsigned slot) const;
  void write(std::size_t offset, std::string_view key, Seqno version, std::string_view value);
  void push_back(const Leaf& from, unsigned slot);
  void clear();
  void compact();
};
}
