#include "kv/leaf.h"

#include "base/check.h"

#include <algorithm>
#include <bit>
#include <new>

namespace concordat::kv
{
namespace
{
std::size_t length_bytes(std::size_t length)
{
  return length < 0x80 ? 1 : (static_cast<std::size_t>(std::bit_width(length)) + 6) / 7;
}

char* write_length(char* to, std::size_t length)
{
  for (; length >= 0x80; length >>= 7)
    *to++ = static_cast<char>(length | 0x80);
  *to++ = static_cast<char>(length);
  return to;
}

const char* read_length(const char* from, std::size_t& length)
{
  length = static_cast<unsigned char>(*from++);
  if (length < 0x80) [[likely]]
    return from;
  length &= 0x7f;
  for (unsigned shift = 7;; shift += 7)
  {
    const std::size_t byte = static_cast<unsigned char>(*from++);
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80)
      return from;
  }
}

/// Bytes in the heap, without the slot.
std::size_t stored_bytes(std::size_t key_size, std::size_t value_size)
{
  return sizeof(Seqno) + length_bytes(key_size) + length_bytes(value_size) + key_size + value_size;
}
}

Leaf* Leaf::make(std::size_t key_size, std::size_t value_size)
{
  const std::size_t needed = header + entry_bytes(key_size, value_size);
  const std::size_t bytes = needed <= page_bytes ? page_bytes : (needed + unit - 1) / unit * unit;
  return new (allocate(bytes)) Leaf(bytes);
}

Leaf* Leaf::copy() const
{
  auto* const page = new (allocate(bytes())) Leaf(bytes());
  page->count_ = count_;
  page->last_insert_ = last_insert_;
  page->heap_ = heap_;
  page->garbage_ = garbage_;
  std::memcpy(page->at(header), at(header), count_ * sizeof(Slot));
  std::memcpy(page->at(heap_), at(heap_), bytes() - heap_);
  return page;
}

std::size_t Leaf::entry_bytes(std::size_t key_size, std::size_t value_size)
{
  return sizeof(Slot) + stored_bytes(key_size, value_size);
}

std::size_t Leaf::entry_bytes_at(unsigned slot) const
{
  const auto e = entry(slot);
  return entry_bytes(e.key.size(), e.value.size());
}

std::size_t Leaf::used() const
{
  return count_ == 0 ? 0 : count_ * sizeof(Slot) + bytes() - heap_ - garbage_;
}

std::string_view Leaf::key(unsigned slot) const
{
  std::size_t key_size = 0;
  std::size_t value_size = 0;
  const char* from = read_length(at(slots()[slot]) + sizeof(Seqno), key_size);
  from = read_length(from, value_size);
  return {from, key_size};
}

Leaf::Entry Leaf::entry(unsigned slot) const
{
  const char* from = at(slots()[slot]);
  Seqno version = 0;
  std::memcpy(&version, from, sizeof(Seqno));
  std::size_t key_size = 0;
  std::size_t value_size = 0;
  from = read_length(from + sizeof(Seqno), key_size);
  from = read_length(from, value_size);
  return {{from, key_size}, version, {from + key_size, value_size}};
}

Leaf::Position Leaf::find(std::string_view wanted) const
{
  // A search in a page that is not in the cache would wait for one line after the other.
  if (!oversize())
    for (std::size_t offset = 0; offset < page_bytes; offset += 64)
      __builtin_prefetch(at(offset));
  unsigned low = 0;
  unsigned high = count_;
  while (low < high)
  {
    const unsigned middle = (low + high) / 2;
    const int order = key(middle).compare(wanted);
    if (order == 0)
      return {middle, true};
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return {low, false};
}

void Leaf::write(std::size_t offset, std::string_view key, Seqno version, std::string_view value)
{
  char* to = at(offset);
  std::memcpy(to, &version, sizeof(Seqno));
  to = write_length(to + sizeof(Seqno), key.size());
  to = write_length(to, value.size());
  std::copy(value.begin(), value.end(), std::copy(key.begin(), key.end(), to));
}

bool Leaf::insert(unsigned slot, std::string_view key, Seqno version, std::string_view value)
{
  const std::size_t size = stored_bytes(key.size(), value.size());
  if (oversize())
  {
    // Only the entry that the page was made for fits, behind the one slot.
    if (count_ != 0 || header + sizeof(Slot) + size > bytes())
      return false;
    heap_ = header + sizeof(Slot);
    garbage_ = 0;
  }
  else
  {
    if (slots_end() + sizeof(Slot) + size > heap_ + std::size_t{garbage_})
      return false;
    if (slots_end() + sizeof(Slot) + size > heap_)
      compact();
    heap_ = static_cast<std::uint16_t>(heap_ - size);
  }
  write(heap_, key, version, value);
  std::memmove(slots() + slot + 1, slots() + slot, (count_ - slot) * sizeof(Slot));
  slots()[slot] = heap_;
  ++count_;
  last_insert_ = static_cast<std::uint8_t>(slot);
  return true;
}

bool Leaf::replace(unsigned slot, std::string_view key, Seqno version, std::string_view value)
{
  const auto old = entry(slot);
  const std::size_t before = stored_bytes(old.key.size(), old.value.size());
  const std::size_t after = stored_bytes(key.size(), value.size());
  if (after == before || (after < before && !oversize()))
  {
    garbage_ = static_cast<std::uint16_t>(garbage_ + (before - after));
    write(slots()[slot], key, version, value);
    return true;
  }
  const auto run = last_insert_;
  remove(slot);
  if (count_ == 0 || !insert(slot, key, version, value))
    return false;
  last_insert_ = run;
  return true;
}

void Leaf::remove(unsigned slot)
{
  if (count_ == 1)
  {
    clear();
    return;
  }
  const std::size_t size = entry_bytes_at(slot) - sizeof(Slot);
  garbage_ = static_cast<std::uint16_t>(garbage_ + size);
  --count_;
  std::memmove(slots() + slot, slots() + slot + 1, (count_ - slot) * sizeof(Slot));
  last_insert_ = 0xff;
}

void Leaf::clear()
{
  count_ = 0;
  garbage_ = 0;
  heap_ = static_cast<std::uint16_t>(oversize() ? header : bytes());
  last_insert_ = 0xff;
}

void Leaf::push_back(const Leaf& from, unsigned slot)
{
  const auto e = from.entry(slot);
  CHECK(insert(count_, e.key, e.version, e.value), "the caller has seen that the entries fit");
}

void Leaf::compact()
{
  char old[page_bytes];
  std::memcpy(old + heap_, at(heap_), bytes() - heap_);
  std::size_t end = bytes();
  for (unsigned i = count_; i-- > 0;)
  {
    const std::size_t from = slots()[i];
    std::size_t key_size = 0;
    std::size_t value_size = 0;
    read_length(read_length(old + from + sizeof(Seqno), key_size), value_size);
    const std::size_t size = stored_bytes(key_size, value_size);
    end -= size;
    std::memcpy(at(end), old + from, size);
    slots()[i] = static_cast<Slot>(end);
  }
  heap_ = static_cast<std::uint16_t>(end);
  garbage_ = 0;
}

unsigned Leaf::choose_split(unsigned slot, std::size_t size) const
{
  std::size_t total = size;
  for (unsigned i = 0; i < count_; ++i)
    total += entry_bytes_at(i);

  const unsigned entries = count_ + 1U;
  unsigned best = 0;
  std::size_t best_difference = total + 1;
  std::size_t left = 0;
  for (unsigned taken = 1; taken < entries; ++taken)
  {
    const unsigned last = taken - 1;
    left += last == slot ? size : entry_bytes_at(last < slot ? last : last - 1);
    const std::size_t right = total - left;
    // A single entry always has a page: one of its own size.
    if ((left > capacity && taken != 1) || (right > capacity && entries - taken != 1))
      continue;
    // Runs of ascending keys come back to the same place: leave the page behind them full, the one ahead empty.
    const bool at_run = slot == count_ ? taken == slot : slot == last_insert_ + 1U && taken == slot + 1;
    if (at_run)
      return taken;
    const std::size_t difference = left > right ? left - right : right - left;
    if (difference < best_difference)
    {
      best = taken;
      best_difference = difference;
    }
  }
  return best;
}

Leaf* Leaf::split_off(unsigned slot)
{
  CHECK(slot > 0 && slot < count_, "both pages keep an entry");
  const auto first = entry(slot);
  Leaf* const right = make(first.key.size(), first.value.size());
  for (unsigned i = slot; i < count_; ++i)
    right->push_back(*this, i);
  right->last_insert_ = 0xff;
  count_ = static_cast<std::uint16_t>(slot);
  last_insert_ = 0xff;
  compact();
  return right;
}

void Leaf::append(const Leaf& right)
{
  for (unsigned i = 0; i < right.count_; ++i)
    push_back(right, i);
  last_insert_ = 0xff;
}

void Leaf::check() const
{
  CHECK(count_ > 0, "an empty page is taken out of the tree");
  CHECK(slots_end() <= heap_, "slots and heap do not overlap");
  CHECK(!oversize() || count_ == 1, "a larger page is made for one entry");
  std::size_t stored = 0;
  for (unsigned i = 0; i < count_; ++i)
  {
    const auto e = entry(i);
    CHECK(slots()[i] >= heap_, "an entry lies in the heap");
    CHECK(e.value.data() + e.value.size() <= at(bytes()), "an entry ends inside the page");
    CHECK(i == 0 || key(i - 1) < e.key, "keys ascend");
    stored += stored_bytes(e.key.size(), e.value.size());
  }
  if (oversize())
    CHECK(header + sizeof(Slot) + stored > page_bytes, "a larger page is made only where it is needed");
  else
    CHECK(stored + garbage_ == bytes() - heap_, "every byte of the heap belongs to an entry or is counted as garbage");
}
}
