#include "kv/page.h"

#include "base/check.h"
#include "kv/inner.h"
#include "kv/leaf.h"
#include "kv/page_memory.h"

#include <cstdlib>

namespace concordat::kv
{
Page::Page(unsigned level, std::size_t bytes)
    : units_(static_cast<std::uint32_t>(bytes / unit)),
      level_(static_cast<std::uint8_t>(level)),
      heap_(static_cast<std::uint16_t>(bytes <= page_bytes ? bytes : header))
{
}

void* Page::allocate(std::size_t bytes)
{
  if (bytes == page_bytes)
    return take_page_memory();
  void* const memory = std::malloc(bytes);
  CHECK(memory != nullptr, "the machine has memory for what its limits let in");
  return memory;
}

void Page::free(Page* page, std::size_t bytes)
{
  if (bytes == page_bytes)
    give_page_memory(page);
  else
    std::free(page);
}

void Page::release(Page* page)
{
  // A sole holder need not count down: nobody else can raise the count.
  if (page->references_.load(std::memory_order_acquire) != 1 &&
      page->references_.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  if (!page->is_leaf())
    static_cast<Inner*>(page)->release_children();
  free(page, page->bytes());
}

Page* Page::copy() const
{
  return is_leaf() ? static_cast<Page*>(static_cast<const Leaf*>(this)->copy())
                   : static_cast<const Inner*>(this)->copy();
}
}
