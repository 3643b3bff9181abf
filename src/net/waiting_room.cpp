#include "net/waiting_room.h"

#include "base/check.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace concordat::net
{
WaitingRoom::Place::Place(std::shared_ptr<WaitingRoom> room, std::shared_ptr<Entry> entry, std::uint64_t size)
    : room_(std::move(room)),
      entry_(std::move(entry)),
      size_(size)
{
}

WaitingRoom::Place::~Place()
{
  if (room_)
    room_->leave(entry_);
}

void WaitingRoom::Place::resize(std::uint64_t size)
{
  if (std::exchange(size_, size) != size)
    room_->resize(entry_, size);
}

bool WaitingRoom::Place::is_evicted() const
{
  return entry_->evicted.load();
}

WaitingRoom::Place WaitingRoom::enter(std::uint64_t group, std::uint64_t size, Evict evict)
{
  const auto entry = std::make_shared<Entry>();
  entry->group = group;
  entry->evict = std::move(evict);
  {
    const base::LockGuard lock(mutex_);
    entry->number = next_number_++;
    entries_.emplace(entry->number, entry);
  }
  resize(entry, size);
  return {shared_from_this(), entry, size};
}

std::uint64_t WaitingRoom::total() const
{
  const base::LockGuard lock(mutex_);
  return total_;
}

void WaitingRoom::resize(const std::shared_ptr<Entry>& entry, std::uint64_t size)
{
  std::vector<std::shared_ptr<Entry>> evicted;
  {
    const base::LockGuard lock(mutex_);
    if (entry->evicted.load())
      return;
    change(*entry, size);
    while (total_ > capacity_)
      evicted.push_back(remove_one());
  }
  for (const auto& one : evicted)
    one->evict();
}

void WaitingRoom::leave(const std::shared_ptr<Entry>& entry)
{
  const base::LockGuard lock(mutex_);
  if (entry->evicted.load())
    return;
  change(*entry, 0);
  entries_.erase(entry->number);
}

void WaitingRoom::change(Entry& entry, std::uint64_t size)
{
  auto& group = groups_[entry.group];
  group = group - entry.size + size;
  total_ = total_ - entry.size + size;
  entry.size = size;
  if (group == 0)
    groups_.erase(entry.group);
}

/// The oldest place that takes room, of the group that has most; of equal groups, the oldest of all.
std::shared_ptr<WaitingRoom::Entry> WaitingRoom::remove_one()
{
  std::uint64_t most = 0;
  for (const auto& [group, size] : groups_)
    most = std::max(most, size);
  for (const auto& [number, candidate] : entries_)
  {
    if (candidate->size == 0 || groups_.at(candidate->group) != most)
      continue;
    const auto removed = candidate;
    change(*removed, 0);
    removed->evicted.store(true);
    entries_.erase(number);
    return removed;
  }
  CHECK(false, "a room that is too full has a place that takes room");
}
}
