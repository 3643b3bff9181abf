#include "kv/prepared_writes.h"

#include "kv/transaction_impl.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace concordat::kv
{
namespace
{
/// Stands for a version until there is one. No transaction has it.
constexpr Seqno open_version = ~Seqno{0};
/// Versions lie in as many pages, which are asked for before they are needed.
constexpr std::size_t prefetched = 16;

const Tree& tree_of(const State& state, std::string_view map)
{
  static const Tree none;
  const auto* const found = state.find(map);
  return found ? found->tree : none;
}
}

bool PreparedWrites::Reads::has(std::string_view key) const
{
  if (access->reads.contains(key))
    return true;
  const auto behind = std::upper_bound(
      ranges.begin(), ranges.end(), key,
      [](std::string_view wanted, const Range& range) { return wanted < range.from; });
  if (behind == ranges.begin())
    return false;
  const auto& to = std::prev(behind)->to;
  return !to || key < *to;
}

std::vector<PreparedWrites::Range> PreparedWrites::scanned(const MapAccess& access)
{
  std::vector<Range> all;
  for (const auto& scan : access.scans)
    if (scan.started)
      all.push_back({scan.from, scan.finished ? scan.to : scan.reached + '\0'});
  std::sort(all.begin(), all.end(), [](const Range& a, const Range& b) { return a.from < b.from; });
  std::vector<Range> apart;
  for (auto& range : all)
  {
    if (apart.empty() || (apart.back().to && *apart.back().to < range.from))
      apart.push_back(std::move(range));
    else if (auto& to = apart.back().to; to && (!range.to || *to < *range.to))
      to = std::move(range.to);
  }
  return apart;
}

PreparedWrites::PreparedWrites(const WriteTransaction& transaction, State head) : followed_(std::move(head))
{
  for (const auto& [name, access] : transaction.impl_->maps)
    if (!access->reads.empty() || !access->scans.empty())
      reads_.push_back({&name, access.get(), scanned(*access)});
  for (const auto& [name, writes] : transaction.writes())
  {
    if (writes.empty())
      continue;
    auto& made = writes_.emplace_back(Writes{&name, &writes, tree_of(followed_, name), {}});
    Tree::Writer writer(made.tree);
    for (const auto& [key, value] : writes)
    {
      if (value)
        writer.put(key, open_version, *value);
      else
        writer.erase(key);
    }
  }
}

/// What the transaction writes itself stays: it comes after all that is in the head.
void PreparedWrites::take_over(Writes& writes, const State& head)
{
  Tree::Writer writer(writes.tree);
  Tree::differences(
      tree_of(followed_, *writes.map), tree_of(head, *writes.map),
      [&](std::string_view key, const std::optional<Tree::Found>& now)
      {
        if (writes.writes->contains(key))
          return;
        if (now)
          writer.put(key, now->version, now->value);
        else
          writer.erase(key);
      });
}

const std::string* PreparedWrites::follow(State head)
{
  if (const auto* const map = changed_in(head))
    return map;
  for (auto& writes : writes_)
    take_over(writes, head);
  followed_ = std::move(head);
  return nullptr;
}

void PreparedWrites::close()
{
  for (auto& writes : writes_)
  {
    writes.versions.clear();
    writes.versions.reserve(writes.writes->size());
    Tree::Writer writer(writes.tree);
    for (const auto& [key, value] : *writes.writes)
      if (value)
        writes.versions.push_back(writer.version_place(key));
  }
}

const std::string* PreparedWrites::changed_in(const State& head) const
{
  for (const auto& reads : reads_)
  {
    bool same = true;
    Tree::differences(
        tree_of(followed_, *reads.map), tree_of(head, *reads.map),
        [&](std::string_view key, const std::optional<Tree::Found>&) { same = same && !reads.has(key); });
    if (!same)
      return reads.map;
  }
  return nullptr;
}

void PreparedWrites::finish(State& head, TxId txid)
{
  // First the versions: what is added afterwards moves entries about.
  for (const auto& writes : writes_)
    for (std::size_t i = 0; i < writes.versions.size(); ++i)
    {
      __builtin_prefetch(writes.versions[std::min(i + prefetched, writes.versions.size() - 1)], 1);
      std::memcpy(writes.versions[i], &txid.seqno, sizeof txid.seqno);
    }
  std::uint64_t keys = 0;
  for (auto& writes : writes_)
  {
    take_over(writes, head);
    // What the head had goes with this object, after the lock: it may be the last to hold many pages.
    std::swap(head.map_for_writing(*writes.map, txid.seqno).tree, writes.tree);
    keys += writes.writes->size();
  }
  head.applied(txid, keys);
}
}
