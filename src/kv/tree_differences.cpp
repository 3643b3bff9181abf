#include "kv/inner.h"
#include "kv/leaf.h"
#include "kv/tree.h"

namespace concordat::kv
{
namespace
{
/// Goes over a tree by whole pages of any level, which are entered only where that is asked for.
class Walk
{
public:
  explicit Walk(const Page* root) : page_(root) {}

  bool valid() const
  {
    return page_ != nullptr;
  }
  /// Of the page that comes next; -1 inside a leaf, or at the end.
  int level() const
  {
    return !page_ || entered_ ? -1 : static_cast<int>(page_->level());
  }
  /// What comes next is the same in both, up to the end of a page.
  bool stands_where(const Walk& other) const
  {
    return page_ == other.page_ && slot_ == other.slot_;
  }
  Leaf::Entry entry() const
  {
    return static_cast<const Leaf*>(page_)->entry(slot_);
  }
  void enter()
  {
    if (page_->is_leaf())
    {
      entered_ = true;
      return;
    }
    above_[depth_++] = {page_, 0};
    page_ = static_cast<const Inner*>(page_)->child(0);
  }
  /// Passes over the page, or over what is left of it.
  void leave()
  {
    entered_ = false;
    slot_ = 0;
    for (page_ = nullptr; depth_ > 0; --depth_)
    {
      auto& [page, slot] = above_[depth_ - 1];
      if (++slot == page->count())
        continue;
      page_ = static_cast<const Inner*>(page)->child(slot);
      return;
    }
  }
  void next_entry()
  {
    if (++slot_ == page_->count())
      leave();
  }

private:
  struct Level
  {
    const Page* page;
    unsigned slot;
  };
  Level above_[Tree::max_height];
  int depth_ = 0;
  const Page* page_;
  unsigned slot_ = 0;
  bool entered_ = false;
};
}

std::uint64_t Tree::differences(const Tree& a, const Tree& b, const Difference& differs)
{
  std::uint64_t steps = 0;
  Walk x(a.root_);
  Walk y(b.root_);
  for (; x.valid() || y.valid(); ++steps)
  {
    if (x.valid() && x.stands_where(y))
    {
      x.leave();
      y.leave();
      continue;
    }
    // The higher page first, so that after a split or a join both come to a page again that they share.
    const auto x_level = x.level();
    const auto y_level = y.level();
    if (x_level >= 0 || y_level >= 0)
    {
      if (x_level >= y_level)
        x.enter();
      if (y_level >= x_level)
        y.enter();
      continue;
    }
    const auto in_a = x.valid() ? x.entry() : Leaf::Entry{};
    const auto in_b = y.valid() ? y.entry() : Leaf::Entry{};
    const auto order = !x.valid() ? 1 : !y.valid() ? -1 : in_a.key.compare(in_b.key);
    if (order < 0)
      differs(in_a.key, std::nullopt);
    else if (order > 0 || in_a.version != in_b.version)
      differs(in_b.key, Found{in_b.version, in_b.value});
    if (order <= 0)
      x.next_entry();
    if (order >= 0)
      y.next_entry();
  }
  return steps;
}
}
