#include "kv/tree.h"

#include "base/check.h"
#include "kv/inner.h"
#include "kv/leaf.h"

#include <algorithm>
#include <utility>

namespace concordat::kv
{
namespace
{
/// The shortest text that is > left and ≤ right.
std::string separator_between(std::string_view left, std::string_view right)
{
  const auto common = std::mismatch(left.begin(), left.end(), right.begin(), right.end()).second - right.begin();
  return std::string(right.substr(0, static_cast<std::size_t>(common) + 1));
}

Leaf* make_leaf(std::string_view key, Seqno version, std::string_view value)
{
  auto* const leaf = Leaf::make(key.size(), value.size());
  CHECK(leaf->insert(0, key, version, value), "the page was made for this entry");
  return leaf;
}

/// What has less than this in it looks for a neighbour to join.
constexpr std::size_t sparse = Leaf::capacity / 4;
/// Joined pages keep some room, so that the next insertion does not split them again.
constexpr std::size_t joined = Leaf::capacity / 4 * 3;

/// Moves what child `slot + 1` has into child `slot`, if there is such a child and both fit into one page.
bool join(Inner& parent, unsigned slot)
{
  if (slot + 1 >= parent.count())
    return false;
  Page** const left = parent.link(slot);
  Page* const right = parent.child(slot + 1);
  const auto between = parent.separator(slot + 1);
  const auto used = right->is_leaf() ? static_cast<Leaf*>(*left)->used() + static_cast<Leaf*>(right)->used()
                                     : static_cast<Inner*>(*left)->used() + static_cast<Inner*>(right)->used(between);
  if (used > joined)
    return false;
  if ((*left)->shared())
    Page::release(std::exchange(*left, (*left)->copy()));
  if (right->is_leaf())
    static_cast<Leaf*>(*left)->append(*static_cast<Leaf*>(right));
  else
    static_cast<Inner*>(*left)->append(*static_cast<Inner*>(right), between);
  Page::release(parent.remove(slot + 1));
  return true;
}
}

Tree::Tree(const Tree& other) : root_(other.root_), size_(other.size_)
{
  if (root_)
    root_->retain();
}

Tree::Tree(Tree&& other) noexcept : root_(std::exchange(other.root_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Tree& Tree::operator=(Tree other) noexcept
{
  std::swap(root_, other.root_);
  std::swap(size_, other.size_);
  return *this;
}

Tree::~Tree()
{
  if (root_)
    Page::release(root_);
}

std::optional<Tree::Found> Tree::find(std::string_view key) const
{
  if (!root_)
    return std::nullopt;
  const Page* page = root_;
  while (!page->is_leaf())
  {
    const auto* const inner = static_cast<const Inner*>(page);
    page = inner->child(inner->find(key));
  }
  const auto* const leaf = static_cast<const Leaf*>(page);
  const auto position = leaf->find(key);
  if (!position.found)
    return std::nullopt;
  const auto entry = leaf->entry(position.slot);
  return Found{entry.version, entry.value};
}

void Tree::put(std::string_view key, Seqno version, std::string_view value)
{
  Writer(*this).put(key, version, value);
}

bool Tree::erase(std::string_view key)
{
  return Writer(*this).erase(key);
}

void Tree::Writer::seek(std::string_view key)
{
  if (leaf_ && leaf_->key(0) <= key && (!bound_ || key < *bound_))
    return;
  path_.depth = 0;
  bound_.reset();
  Page** link = &tree_.root_;
  for (;;)
  {
    if ((*link)->shared())
    {
      Page* const copy = (*link)->copy();
      Page::release(*link);
      *link = copy;
    }
    if ((*link)->is_leaf())
      break;
    auto* const inner = static_cast<Inner*>(*link);
    const unsigned slot = inner->find(key);
    if (slot + 1 < inner->count())
      bound_ = inner->separator(slot + 1);
    path_.pages[path_.depth] = inner;
    path_.slots[path_.depth++] = slot;
    link = inner->link(slot);
  }
  leaf_ = static_cast<Leaf*>(*link);
}

void Tree::Writer::put(std::string_view key, Seqno version, std::string_view value)
{
  CHECK(key.size() < UINT32_MAX && value.size() < UINT32_MAX, "whoever takes bytes from outside bounds them");
  if (!tree_.root_)
  {
    tree_.root_ = make_leaf(key, version, value);
    tree_.size_ = 1;
    return;
  }
  for (bool done = false; !done;)
  {
    seek(key);
    const auto position = leaf_->find(key);
    if (position.found)
    {
      if (leaf_->replace(position.slot, key, version, value))
        return;
      --tree_.size_;
    }
    else if (leaf_->insert(position.slot, key, version, value))
    {
      ++tree_.size_;
      return;
    }
    if (leaf_->count() == 0)
    {
      *tree_.link(path_) = make_leaf(key, version, value);
      Page::release(leaf_);
      done = true;
    }
    else
      done = tree_.split(path_, leaf_, position.slot, key, version, value);
    leaf_ = nullptr;
  }
  ++tree_.size_;
}

bool Tree::Writer::erase(std::string_view key)
{
  // A key that is not there must not cost copies of pages.
  if (!tree_.find(key))
    return false;
  seek(key);
  const auto position = leaf_->find(key);
  CHECK(position.found, "it was found before");
  leaf_->remove(position.slot);
  --tree_.size_;
  if (leaf_->used() < sparse)
  {
    tree_.shrink(path_, leaf_);
    leaf_ = nullptr;
  }
  return true;
}

char* Tree::Writer::version_place(std::string_view key)
{
  seek(key);
  const auto position = leaf_->find(key);
  CHECK(position.found, "only what is there has a version");
  return leaf_->version_place(position.slot);
}

Page** Tree::link(const Path& path)
{
  return path.depth == 0 ? &root_ : path.pages[path.depth - 1]->link(path.slots[path.depth - 1]);
}

bool Tree::split(Path& path, Leaf* leaf, unsigned slot, std::string_view key, Seqno version, std::string_view value)
{
  const unsigned count = leaf->count();
  const unsigned left = leaf->choose_split(slot, Leaf::entry_bytes(key.size(), value.size()));
  if (left == count && slot == count)
  {
    add_sibling(path, separator_between(leaf->key(count - 1), key), make_leaf(key, version, value));
    return true;
  }
  if (left == 1 && slot == 0)
  {
    *link(path) = make_leaf(key, version, value);
    add_sibling(path, separator_between(key, leaf->key(0)), leaf);
    return true;
  }
  const bool goes_left = slot < left;
  const unsigned stay = left == 0 ? slot : goes_left ? left - 1 : left;
  Leaf* const right = leaf->split_off(stay);
  if (left != 0)
    CHECK(
        goes_left ? leaf->insert(slot, key, version, value) : right->insert(slot - stay, key, version, value),
        "the split was chosen so that it fits");
  add_sibling(path, separator_between(leaf->key(leaf->count() - 1), right->key(0)), right);
  return left != 0;
}

void Tree::add_sibling(Path& path, std::string separator, Page* right)
{
  for (; path.depth > 0; --path.depth)
  {
    auto* const inner = path.pages[path.depth - 1];
    const unsigned slot = path.slots[path.depth - 1] + 1;
    if (inner->insert(slot, separator, right))
      return;
    if (slot == inner->count())
    {
      // Growth at the right edge leaves full pages behind.
      right = Inner::make(inner->level(), right);
      continue;
    }
    const unsigned middle = inner->middle();
    std::string between{inner->separator(middle)};
    auto* const sibling = inner->split_off(middle);
    CHECK(
        slot <= middle ? inner->insert(slot, separator, right) : sibling->insert(slot - middle, separator, right),
        "half of a page has room for one more");
    separator = std::move(between);
    right = sibling;
  }
  CHECK(root_->level() + 1 < max_height, "pages that were split have seven children or more");
  auto* const top = Inner::make(root_->level() + 1, root_);
  CHECK(top->insert(1, separator, right), "a page has room for two children");
  root_ = top;
}

void Tree::shrink(Path& path, Leaf* leaf)
{
  Page* page = leaf;
  for (; path.depth > 0; --path.depth)
  {
    auto* const parent = path.pages[path.depth - 1];
    const unsigned slot = path.slots[path.depth - 1];
    if (page->count() == 0)
      Page::release(parent->remove(slot));
    else if (!join(*parent, slot) && (slot == 0 || !join(*parent, slot - 1)))
      break;
    if (parent->count() > 0 && parent->used() >= sparse)
      break;
    page = parent;
  }
  while (root_->level() > 0 && root_->count() == 1)
  {
    auto* const only = static_cast<Inner*>(root_)->remove(0);
    Page::release(root_);
    root_ = only;
  }
  if (root_->count() == 0)
    Page::release(std::exchange(root_, nullptr));
}
}
