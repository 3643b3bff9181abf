#include "kv/page_memory.h"

#include "base/check.h"
#include "base/mutex.h"

#include <cstdlib>
#include <sys/mman.h>
#include <utility>

namespace concordat::kv
{
namespace
{
/// A page that is not in use.
struct Free
{
  Free* next;       ///< in the same bundle
  Free* bundle;     ///< the next bundle; only in the first page of one
  unsigned entries; ///< of the bundle; only in its first page
};

constexpr unsigned bundle_pages = 64;
constexpr std::size_t region_bytes = std::size_t{64} << 20;
constexpr std::size_t huge_page = std::size_t{2} << 20;

/// What all threads share: bundles of free pages, and the region that new ones are cut from.
class Central
{
public:
  Free* take()
  {
    const base::LockGuard lock(mutex_);
    if (!bundles_)
      return cut();
    return std::exchange(bundles_, bundles_->bundle);
  }
  void give(Free* bundle)
  {
    const base::LockGuard lock(mutex_);
    bundle->bundle = std::exchange(bundles_, bundle);
  }

private:
  Free* cut() REQUIRES(mutex_)
  {
    if (static_cast<std::size_t>(end_ - at_) < bundle_pages * page_bytes)
      add_region();
    Free* bundle = nullptr;
    for (unsigned i = 1; i <= bundle_pages; ++i, at_ += page_bytes)
      bundle = new (at_) Free{bundle, nullptr, i};
    return bundle;
  }
  void add_region() REQUIRES(mutex_)
  {
    void* const memory =
        mmap(nullptr, region_bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "the machine has memory for what its limits let in");
    const auto misplaced = reinterpret_cast<std::uintptr_t>(memory) % huge_page;
    at_ = static_cast<char*>(memory) + (misplaced == 0 ? 0 : huge_page - misplaced);
    end_ = at_ + region_bytes;
    // Only a wish: where the kernel has none to give, small pages do.
    madvise(at_, region_bytes, MADV_HUGEPAGE);
  }

  base::Mutex mutex_;
  Free* bundles_ GUARDED_BY(mutex_) = nullptr;
  char* at_ GUARDED_BY(mutex_) = nullptr;
  char* end_ GUARDED_BY(mutex_) = nullptr;
};

Central& central()
{
  // Never destroyed: trees of static life time give their pages back after everything else has gone.
  static auto* const only = new Central;
  return *only;
}

/// One thread's free pages: a bundle in use, and possibly a full one, so that a thread that takes and gives in turns
/// at the edge of a bundle does not go to the others each time. Without a destructor, for threads that end.
struct Local
{
  Free* current;
  Free* full;
  bool ended;
};
thread_local constinit Local local{nullptr, nullptr, false};

/// Hands a thread's free pages to the others when it ends.
struct Ending
{
  ~Ending()
  {
    for (Free* const bundle : {local.current, local.full})
      if (bundle)
        central().give(bundle);
    local = {nullptr, nullptr, true};
  }
  /// Makes sure that the thread has one of these.
  void arm() {}
};
thread_local Ending ending;
}

void* take_page_memory()
{
  if constexpr (pages_from_malloc)
  {
    void* const memory = std::malloc(page_bytes);
    CHECK(memory != nullptr, "the machine has memory for what its limits let in");
    return memory;
  }
  if (!local.current) [[unlikely]]
  {
    ending.arm();
    local.current = local.full ? std::exchange(local.full, nullptr) : central().take();
  }
  return std::exchange(local.current, local.current->next);
}

void give_page_memory(void* memory)
{
  if constexpr (pages_from_malloc)
    return std::free(memory);
  Free* bundle = local.current;
  if (!bundle || bundle->entries == bundle_pages) [[unlikely]]
  {
    ending.arm();
    if (bundle && local.full)
      central().give(local.full);
    if (bundle)
      local.full = bundle;
    bundle = nullptr;
  }
  local.current = new (memory) Free{bundle, nullptr, bundle ? bundle->entries + 1 : 1};
  if (local.ended) [[unlikely]]
    central().give(std::exchange(local.current, nullptr));
}
}
