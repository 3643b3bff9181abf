#include "kv/transaction_impl.h"

#include <utility>

namespace concordat::kv
{
namespace
{
/// Entries of a snapshot's map.
class TreeCursor : public Cursor
{
public:
  TreeCursor(Tree::Iterator at, std::optional<std::string_view> to) : at_(at), to_(to) {}

  bool next() override
  {
    if (started_ && at_.valid())
      at_.next();
    started_ = true;
    return at_.valid() && (!to_ || at_.key() < *to_);
  }
  std::string_view key() const override
  {
    return at_.key();
  }
  std::string_view value() const override
  {
    return at_.value();
  }
  Seqno version() const override
  {
    return at_.version();
  }

private:
  Tree::Iterator at_;
  std::optional<std::string> to_;
  bool started_ = false;
};
}

/// Entries of the base merged with the transaction's own writes, also those made while the cursor is under way.
class WriteTransaction::MergeCursor : public Cursor
{
public:
  MergeCursor(Impl& transaction, std::string_view map, MapAccess& access, ScannedRange& range)
      : transaction_(transaction),
        map_(map),
        access_(access),
        range_(range)
  {
    if (access_.base)
      base_ = access_.base->lower_bound(range_.from);
  }

  bool next() override
  {
    if (range_.finished)
      return false;
    if (on_base_)
      base_.next();
    on_base_ = false;
    for (;;)
    {
      find_own();
      const bool has_base = base_.valid() && inside(base_.key());
      const bool has_own = own_ != own_end_ && inside(own_->first);
      range_.started = true;
      ++range_.passed;
      if (!has_base && !has_own)
      {
        range_.finished = true;
        return false;
      }
      const int order = !has_own ? -1 : !has_base ? 1 : base_.key().compare(own_->first);
      if (order < 0)
      {
        on_base_ = true;
        key_ = base_.key();
        value_ = base_.value();
        version_ = base_.version();
        range_.reached.assign(key_);
        return true;
      }
      if (order == 0)
        base_.next();
      range_.reached.assign(own_->first);
      if (own_->second)
      {
        // A later write could move what the caller looks at.
        own_value_ = *own_->second;
        key_ = range_.reached;
        value_ = own_value_;
        version_ = 0;
        return true;
      }
    }
  }
  std::string_view key() const override
  {
    return key_;
  }
  std::string_view value() const override
  {
    return value_;
  }
  Seqno version() const override
  {
    return version_;
  }

private:
  bool inside(std::string_view key) const
  {
    return !range_.to || key < *range_.to;
  }

  /// Moves to the transaction's first own write behind what was reached.
  void find_own()
  {
    const bool moved = range_.started;
    if (!known_ || changes_ != transaction_.changes)
    {
      const auto* const writes = transaction_.own(map_, access_);
      known_ = true;
      changes_ = transaction_.changes;
      own_ = own_end_ = {};
      if (!writes)
        return;
      own_end_ = writes->end();
      own_ = moved ? writes->upper_bound(range_.reached) : writes->lower_bound(range_.from);
      return;
    }
    while (moved && own_ != own_end_ && own_->first <= range_.reached)
      ++own_;
  }

  Impl& transaction_;
  const std::string map_;
  MapAccess& access_;
  ScannedRange& range_;
  Tree::Iterator base_;
  bool on_base_ = false; ///< the base's entry was the last one returned
  MapWrites::const_iterator own_;
  MapWrites::const_iterator own_end_;
  bool known_ = false; ///< own_ is valid as of changes_
  std::uint64_t changes_ = 0;
  std::string_view key_;
  std::string_view value_;
  std::string own_value_;
  Seqno version_ = 0;
};

std::unique_ptr<Cursor>
WriteTransaction::scan(std::string_view map, std::string_view from, std::optional<std::string_view> to)
{
  auto& access = impl_->access(map, Access::read);
  auto& range = access.scans.emplace_back();
  range.from = from;
  if (to)
    range.to = *to;
  return std::make_unique<MergeCursor>(*impl_, map, access, range);
}

std::unique_ptr<Cursor>
SnapshotTransaction::scan(std::string_view map, std::string_view from, std::optional<std::string_view> to)
{
  const auto* const tree = open(map);
  return std::make_unique<TreeCursor>(tree ? tree->lower_bound(from) : Tree::Iterator(), to);
}
}
