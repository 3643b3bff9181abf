#include "kv/inner.h"

#include "base/check.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace concordat::kv
{
Inner::Outside* Inner::Outside::make(std::string_view text)
{
  void* const memory = std::malloc(sizeof(Outside) + text.size());
  CHECK(memory != nullptr, "the machine has memory for what its limits let in");
  auto* const made = new (memory) Outside(static_cast<std::uint32_t>(text.size()));
  std::memcpy(made->bytes(), text.data(), text.size());
  return made;
}

void Inner::Outside::release(Outside* outside)
{
  if (outside->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    std::free(outside);
}

Inner* Inner::make(unsigned level, Page* first)
{
  auto* const page = new (allocate(page_bytes)) Inner(level);
  page->slots()[0] = {first, page->heap_, 0};
  page->count_ = 1;
  return page;
}

Inner* Inner::copy() const
{
  // The count of every child changes: have the cache lines come in together, not one after the other.
  for (unsigned i = 0; i < count_; ++i)
    __builtin_prefetch(slots()[i].child, 1);
  auto* const page = new (allocate(page_bytes)) Inner(level_);
  page->count_ = count_;
  page->heap_ = heap_;
  page->garbage_ = garbage_;
  std::memcpy(page->at(header), at(header), count_ * sizeof(Slot));
  std::memcpy(page->at(heap_), at(heap_), bytes() - heap_);
  for (unsigned i = 0; i < count_; ++i)
  {
    slots()[i].child->retain();
    if (slots()[i].size == is_outside)
      outside_at(i)->references.fetch_add(1, std::memory_order_relaxed);
  }
  return page;
}

void Inner::release_children()
{
  for (unsigned i = 0; i < count_; ++i)
    __builtin_prefetch(slots()[i].child, 1);
  for (unsigned i = 0; i < count_; ++i)
  {
    Page::release(slots()[i].child);
    drop_separator(i);
  }
}

Inner::Outside* Inner::outside_at(unsigned slot) const
{
  Outside* pointer = nullptr;
  std::memcpy(&pointer, at(slots()[slot].offset), sizeof pointer);
  return pointer;
}

std::string_view Inner::separator(unsigned slot) const
{
  const auto& s = slots()[slot];
  if (s.size != is_outside) [[likely]]
    return {at(s.offset), s.size};
  const auto* const o = outside_at(slot);
  return {o->bytes(), o->size};
}

unsigned Inner::find(std::string_view key) const
{
  unsigned low = 1;
  unsigned high = count_;
  while (low < high)
  {
    const unsigned half = (low + high) / 2;
    if (separator(half) <= key)
      low = half + 1;
    else
      high = half;
  }
  return low - 1;
}

bool Inner::insert(unsigned slot, std::string_view separator, Page* child)
{
  const bool long_one = separator.size() > longest_inline;
  const auto size = long_one ? is_outside : static_cast<std::uint16_t>(separator.size());
  const std::size_t stored = stored_bytes(size);
  if (slots_end() + sizeof(Slot) + stored > heap_ + std::size_t{garbage_})
    return false;
  if (slots_end() + sizeof(Slot) + stored > heap_)
    compact();
  heap_ = static_cast<std::uint16_t>(heap_ - stored);
  if (long_one)
  {
    const Outside* const pointer = Outside::make(separator);
    std::memcpy(at(heap_), &pointer, sizeof pointer);
  }
  else
    std::memcpy(at(heap_), separator.data(), separator.size());
  std::memmove(slots() + slot + 1, slots() + slot, (count_ - slot) * sizeof(Slot));
  slots()[slot] = {child, heap_, size};
  ++count_;
  return true;
}

void Inner::drop_separator(unsigned slot)
{
  auto& s = slots()[slot];
  if (s.size == is_outside)
    Outside::release(outside_at(slot));
  garbage_ = static_cast<std::uint16_t>(garbage_ + stored_bytes(s.size));
  s.size = 0;
}

Page* Inner::remove(unsigned slot)
{
  Page* const taken = child(slot);
  drop_separator(slot);
  --count_;
  std::memmove(slots() + slot, slots() + slot + 1, (count_ - slot) * sizeof(Slot));
  if (slot == 0 && count_ > 0)
    drop_separator(0);
  return taken;
}

unsigned Inner::middle() const
{
  const std::size_t half = used() / 2;
  std::size_t left = 0;
  for (unsigned i = 0; i + 1 < count_; ++i)
  {
    left += sizeof(Slot) + stored_bytes(slots()[i].size);
    if (left >= half)
      return i + 1;
  }
  return count_ - 1U;
}

Inner* Inner::split_off(unsigned slot)
{
  CHECK(slot > 0 && slot < count_, "both pages keep a child");
  auto* const right = make(level_, child(slot));
  for (unsigned i = slot + 1; i < count_; ++i)
    CHECK(right->insert(right->count_, separator(i), child(i)), "a part fits into a page");
  for (unsigned i = slot; i < count_; ++i)
    drop_separator(i);
  count_ = static_cast<std::uint16_t>(slot);
  compact();
  return right;
}

void Inner::append(const Inner& right, std::string_view between)
{
  for (unsigned i = 0; i < right.count_; ++i)
  {
    right.child(i)->retain();
    CHECK(
        insert(count_, i == 0 ? between : right.separator(i), right.child(i)),
        "the caller has seen that the children fit");
  }
}

std::size_t Inner::used(std::string_view between) const
{
  const std::size_t first = between.size() > longest_inline ? sizeof(Outside*) : between.size();
  return count_ * sizeof(Slot) + bytes() - heap_ - garbage_ + first;
}

void Inner::compact()
{
  char old[page_bytes];
  std::memcpy(old + heap_, at(heap_), bytes() - heap_);
  std::size_t end = bytes();
  for (unsigned i = count_; i-- > 0;)
  {
    auto& s = slots()[i];
    const std::size_t size = stored_bytes(s.size);
    end -= size;
    std::memcpy(at(end), old + s.offset, size);
    s.offset = static_cast<std::uint16_t>(end);
  }
  heap_ = static_cast<std::uint16_t>(end);
  garbage_ = 0;
}

std::size_t Inner::outside_bytes() const
{
  std::size_t sum = 0;
  for (unsigned i = 0; i < count_; ++i)
    if (slots()[i].size == is_outside)
      sum += sizeof(Outside) + outside_at(i)->size;
  return sum;
}

void Inner::check() const
{
  CHECK(count_ > 0, "an empty page is taken out of the tree");
  CHECK(slots_end() <= heap_, "slots and heap do not overlap");
  CHECK(separator(0).empty(), "nothing bounds the first child here");
  std::size_t stored = 0;
  for (unsigned i = 0; i < count_; ++i)
  {
    CHECK(child(i)->level() + 1 == level(), "all leaves are equally deep");
    CHECK(i == 0 || separator(i - 1) < separator(i), "separators ascend");
    stored += stored_bytes(slots()[i].size);
  }
  CHECK(stored + garbage_ == bytes() - heap_, "every byte of the heap belongs to a separator or is counted as garbage");
}
}
