#pragma once

#include "base/mutex.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

namespace concordat::net
{
/// Bounds what waits for clients and costs this process something meanwhile: handshakes that do not come to an end,
/// requests that are half sent, answers that nobody reads.
///
/// Each place has a size and belongs to a group (an address, a caller). When all together are more than the room
/// holds, the group that has most gives up its oldest places, so that whoever fills the room loses their own and others
/// notice nothing. Any thread may call; a place is used by one thread.
class WaitingRoom : public std::enable_shared_from_this<WaitingRoom>
{
  struct Entry;

public:
  /// Says to the owner of a place that it was given up. Called once at most, on any thread, outside the room's lock.
  using Evict = std::function<void()>;

  class Place
  {
  public:
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    /// Leaves the room.
    ~Place();

    /// May cost this place or others.
    void resize(std::uint64_t size);
    /// The owner has to give up what waits.
    bool is_evicted() const;

  private:
    friend class WaitingRoom;
    Place(std::shared_ptr<WaitingRoom> room, std::shared_ptr<Entry> entry, std::uint64_t size);

    std::shared_ptr<WaitingRoom> room_;
    std::shared_ptr<Entry> entry_;
    std::uint64_t size_;
  };

  explicit WaitingRoom(std::uint64_t capacity) : capacity_(capacity) {}

  /// @param size  may evict others, or the new place itself if its group has most
  Place enter(std::uint64_t group, std::uint64_t size, Evict evict) EXCLUDES(mutex_);

  std::uint64_t total() const EXCLUDES(mutex_);

private:
  struct Entry
  {
    std::uint64_t group = 0;
    Evict evict;
    std::uint64_t number = 0; ///< in the order of coming
    std::uint64_t size = 0;   ///< under the room's lock
    std::atomic<bool> evicted{false};
  };

  void resize(const std::shared_ptr<Entry>& entry, std::uint64_t size) EXCLUDES(mutex_);
  void leave(const std::shared_ptr<Entry>& entry) EXCLUDES(mutex_);
  void change(Entry& entry, std::uint64_t size) REQUIRES(mutex_);
  std::shared_ptr<Entry> remove_one() REQUIRES(mutex_);

  const std::uint64_t capacity_;
  mutable base::Mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Entry>> entries_ GUARDED_BY(mutex_); ///< the oldest first
  std::unordered_map<std::uint64_t, std::uint64_t> groups_ GUARDED_BY(mutex_); ///< what each has in the room
  std::uint64_t total_ GUARDED_BY(mutex_) = 0;
  std::uint64_t next_number_ GUARDED_BY(mutex_) = 0;
};
}
