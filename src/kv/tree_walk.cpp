#include "base/check.h"
#include "kv/inner.h"
#include "kv/leaf.h"
#include "kv/tree.h"

namespace concordat::kv
{
const Leaf& Tree::Iterator::leaf() const
{
  return *static_cast<const Leaf*>(levels_[depth_ - 1].page);
}

void Tree::Iterator::descend(const Page* page)
{
  for (;; page = static_cast<const Inner*>(page)->child(0))
  {
    levels_[depth_++] = {page, 0};
    if (page->is_leaf())
      return;
  }
}

void Tree::Iterator::next_leaf()
{
  while (--depth_ > 0)
  {
    auto& level = levels_[depth_ - 1];
    if (++level.slot < level.page->count())
    {
      descend(static_cast<const Inner*>(level.page)->child(level.slot));
      return;
    }
  }
}

void Tree::Iterator::next()
{
  auto& level = levels_[depth_ - 1];
  if (++level.slot == level.page->count())
    next_leaf();
}

std::string_view Tree::Iterator::key() const
{
  return leaf().key(levels_[depth_ - 1].slot);
}

std::string_view Tree::Iterator::value() const
{
  return leaf().entry(levels_[depth_ - 1].slot).value;
}

Seqno Tree::Iterator::version() const
{
  return leaf().entry(levels_[depth_ - 1].slot).version;
}

Tree::Iterator Tree::lower_bound(std::string_view from) const
{
  Iterator i;
  if (!root_)
    return i;
  const Page* page = root_;
  while (!page->is_leaf())
  {
    const auto* const inner = static_cast<const Inner*>(page);
    const unsigned slot = inner->find(from);
    i.levels_[i.depth_++] = {page, slot};
    page = inner->child(slot);
  }
  const unsigned slot = static_cast<const Leaf*>(page)->find(from).slot;
  i.levels_[i.depth_++] = {page, slot};
  if (slot == page->count())
    i.next_leaf();
  return i;
}

bool Tree::same_range(const Tree& a, const Tree& b, std::string_view from, std::optional<std::string_view> to)
{
  if (a.same_as(b))
    return true;
  auto x = a.lower_bound(from);
  auto y = b.lower_bound(from);
  for (;; x.next(), y.next())
  {
    while (x.valid() && y.valid() && x.levels_[x.depth_ - 1] == y.levels_[y.depth_ - 1])
    {
      x.next_leaf();
      y.next_leaf();
    }
    const bool x_inside = x.valid() && (!to || x.key() < *to);
    const bool y_inside = y.valid() && (!to || y.key() < *to);
    if (!x_inside || !y_inside)
      return x_inside == y_inside;
    if (x.version() != y.version() || x.key() != y.key())
      return false;
  }
}

namespace
{
std::uint64_t memory_below(const Page* page)
{
  std::uint64_t sum = page->bytes();
  if (page->is_leaf())
    return sum;
  const auto* const inner = static_cast<const Inner*>(page);
  for (unsigned i = 0; i < inner->count(); ++i)
    sum += memory_below(inner->child(i));
  return sum + inner->outside_bytes();
}

/// @param from  no key may be below it
/// @param to    every key must be below it, if there is one
/// @return the number of entries
std::uint64_t check_below(const Page* page, std::string_view from, std::optional<std::string_view> to)
{
  if (page->is_leaf())
  {
    const auto* const leaf = static_cast<const Leaf*>(page);
    leaf->check();
    CHECK(leaf->key(0) >= from, "separators bound keys from below");
    CHECK(!to || leaf->key(leaf->count() - 1) < *to, "separators bound keys from above");
    return leaf->count();
  }
  const auto* const inner = static_cast<const Inner*>(page);
  inner->check();
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < inner->count(); ++i)
    sum += check_below(
        inner->child(i), i == 0 ? from : inner->separator(i), i + 1 == inner->count() ? to : inner->separator(i + 1));
  return sum;
}
}

std::uint64_t Tree::memory() const
{
  return root_ ? memory_below(root_) : 0;
}

void Tree::check() const
{
  if (!root_)
  {
    CHECK(size_ == 0, "a tree without pages is empty");
    return;
  }
  CHECK(root_->is_leaf() || root_->count() > 1, "a root above one page is taken away");
  CHECK(check_below(root_, {}, std::nullopt) == size_, "the size is counted along");
}
}
