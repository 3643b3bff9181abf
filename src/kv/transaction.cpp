#include "base/check.h"
#include "kv/transaction_impl.h"

#include <algorithm>
#include <utility>

namespace concordat::kv
{
namespace
{
bool allows(Rights has, Access wanted)
{
  return wanted == Access::read ? has.read : has.write;
}
}

MapAccess& WriteTransaction::Impl::access(std::string_view map, Access wanted)
{
  if (last && last_name == map && allows(last->rights, wanted))
    return *last;
  const auto has = rights(acts_as, map);
  if (!allows(has, wanted))
    throw AccessDenied(refusal(acts_as, wanted, map));
  auto at = maps.find(map);
  if (at == maps.end())
  {
    auto made = std::make_unique<MapAccess>();
    made->rights = has;
    if (const auto* const found = base->find(map))
      made->base = &found->tree;
    at = maps.emplace(std::string(map), std::move(made)).first;
  }
  last_name = map;
  last = at->second.get();
  return *last;
}

MapWrites* WriteTransaction::Impl::own(std::string_view map, MapAccess& access)
{
  // The write set moves its maps when it gets another one.
  if (access.write_maps != writes.size())
  {
    const auto at = writes.find(map);
    access.writes = at == writes.end() ? nullptr : &at->second;
    access.write_maps = writes.size();
  }
  return access.writes;
}

const std::optional<std::string>*
WriteTransaction::Impl::own_write(std::string_view map, MapAccess& access, std::string_view key)
{
  const auto* const mine = own(map, access);
  if (!mine)
    return nullptr;
  const auto at = mine->find(key);
  return at == mine->end() ? nullptr : &at->second;
}

std::optional<Tree::Found> WriteTransaction::Impl::read(MapAccess& access, std::string_view key)
{
  const auto found = access.base ? access.base->find(key) : std::nullopt;
  access.reads.try_emplace(key, found ? found->version : 0);
  return found;
}

void WriteTransaction::Impl::write(std::string_view map, std::string_view key, std::optional<std::string> value)
{
  auto& a = access(map, Access::write);
  if (acts_as != runs_by && std::ranges::find(of_node, map) == of_node.end())
    of_node.emplace_back(map);
  auto* mine = own(map, a);
  if (!mine)
  {
    writes.try_emplace(std::string(map));
    mine = own(map, a);
  }
  // Batches usually come in order: the end is the first place to look at.
  mine->insert_or_assign(mine->end(), std::string(key), std::move(value));
  if (!a.pinned.empty())
    a.pinned.erase(key);
  ++changes;
}

bool WriteTransaction::Impl::may_have_written(std::string_view map) const
{
  return rights(runs_by, map).write || std::ranges::find(of_node, map) != of_node.end();
}

std::uint64_t WriteTransaction::Impl::extent() const
{
  std::uint64_t count = 0;
  for (const auto& [map, map_writes] : writes)
    count += map_writes.size();
  for (const auto& [map, access] : maps)
  {
    count += access->reads.size();
    for (const auto& scan : access->scans)
      count += 1 + scan.passed;
  }
  return count;
}

const std::string* WriteTransaction::Impl::changed_in(const State& head) const
{
  static const Tree none;
  for (const auto& [name, access] : maps)
  {
    if (access->reads.empty() && access->scans.empty())
      continue;
    const Tree& before = access->base ? *access->base : none;
    const auto* const map = head.find(name);
    const Tree& now = map ? map->tree : none;
    if (before.same_as(now))
      continue;
    for (const auto& [key, version] : access->reads)
    {
      const auto found = now.find(key);
      if ((found ? found->version : 0) != version)
        return &name;
    }
    for (const auto& scan : access->scans)
    {
      if (!scan.started)
        continue;
      auto to = scan.to;
      if (!scan.finished)
        to = scan.reached + '\0';
      if (!Tree::same_range(before, now, scan.from, to))
        return &name;
    }
  }
  return nullptr;
}

WriteTransaction::WriteTransaction(Snapshot base, RunBy runs_by)
    : impl_(std::make_unique<Impl>(std::move(base), runs_by))
{
}

WriteTransaction::~WriteTransaction() = default;

std::optional<std::string_view> WriteTransaction::get(std::string_view map, std::string_view key)
{
  auto& access = impl_->access(map, Access::read);
  const auto* const mine = impl_->own_write(map, access, key);
  if (!mine)
  {
    const auto found = impl_->read(access, key);
    return found ? std::optional(found->value) : std::nullopt;
  }
  if (!mine->has_value())
    return std::nullopt;
  // The write set moves short values when other keys come in, but the caller's view must stay.
  auto& pinned = access.pinned[key];
  if (!pinned)
    pinned = std::make_unique<std::string>(**mine);
  return *pinned;
}

std::optional<Seqno> WriteTransaction::version(std::string_view map, std::string_view key)
{
  auto& access = impl_->access(map, Access::read);
  if (impl_->own_write(map, access, key))
    return std::nullopt;
  const auto found = impl_->read(access, key);
  return found ? std::optional(found->version) : std::nullopt;
}

void WriteTransaction::put(std::string_view map, std::string_view key, std::string_view value)
{
  CHECK(key.size() < UINT32_MAX && value.size() < UINT32_MAX, "whoever takes bytes from outside bounds them");
  impl_->write(map, key, std::string(value));
}

void WriteTransaction::remove(std::string_view map, std::string_view key)
{
  impl_->write(map, key, std::nullopt);
}

void WriteTransaction::set_claims_digest(const Digest& digest)
{
  impl_->claims = digest;
}

void WriteTransaction::as_node(const std::function<void(Transaction&)>& work)
{
  // The map that was touched last is not looked up again, so neither may find that of the other.
  struct Acting
  {
    explicit Acting(Impl& acts) : impl(acts)
    {
      impl.acts_as = RunBy::node;
      impl.last = nullptr;
    }
    ~Acting()
    {
      impl.acts_as = impl.runs_by;
      impl.last = nullptr;
    }
    Acting(const Acting&) = delete;
    Acting& operator=(const Acting&) = delete;
    Impl& impl;
  };
  const Acting acting(*impl_);
  work(*this);
}

const Snapshot& WriteTransaction::base() const
{
  return impl_->base;
}

RunBy WriteTransaction::runs_by() const
{
  return impl_->runs_by;
}

const WriteSet& WriteTransaction::writes() const
{
  return impl_->writes;
}

const Digest& WriteTransaction::claims_digest() const
{
  return impl_->claims;
}

bool WriteTransaction::touched() const
{
  return !impl_->maps.empty();
}

const Tree* SnapshotTransaction::open(std::string_view map)
{
  if (touched_ && last_name_ == map)
    return last_;
  if (!rights(runs_by_, map).read)
    throw AccessDenied(refusal(runs_by_, Access::read, map));
  touched_ = true;
  const auto* const found = base_->find(map);
  last_name_ = map;
  last_ = found ? &found->tree : nullptr;
  return last_;
}

std::optional<std::string_view> SnapshotTransaction::get(std::string_view map, std::string_view key)
{
  const auto* const tree = open(map);
  const auto found = tree ? tree->find(key) : std::nullopt;
  return found ? std::optional(found->value) : std::nullopt;
}

std::optional<Seqno> SnapshotTransaction::version(std::string_view map, std::string_view key)
{
  const auto* const tree = open(map);
  const auto found = tree ? tree->find(key) : std::nullopt;
  return found ? std::optional(found->version) : std::nullopt;
}
}
