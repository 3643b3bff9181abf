#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "concordat/http.h"
#include "concordat/transaction.h"
#include "consensus/ordering.h"
#include "http/server.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace concordat::node
{
/// Requests that name a transaction which they must not be older than (`x-concordat-after`), and wait until this node
/// has it: so who has written through one node reads what they wrote at any other. No thread waits with them. Any
/// thread may call.
class StateWaiters
{
public:
  static constexpr std::string_view header = "x-concordat-after";
  static constexpr std::size_t most = 10'000; ///< that wait

  /// @param ordering, clock  outlive it
  StateWaiters(const consensus::Ordering& ordering, const base::Clock& clock) : ordering_(ordering), clock_(clock) {}

  /// The request names such a transaction.
  static bool concerns(const Request& request)
  {
    return find_header(request.headers, header).has_value();
  }

  /// Has the request go on once that transaction is committed here, at once if it is; answers it if it never will be,
  /// or is not in time. @pre concerns(request)
  /// @param go_on  called on the thread of the exchange, once, or never
  void
  wait(const std::shared_ptr<http::Exchange>& exchange, std::chrono::milliseconds patience, std::function<void()> go_on)
      EXCLUDES(mutex_);

  /// Lets go of those whose wait is over. To be called after each commit, and from time to time: cheap if nobody waits.
  void look() EXCLUDES(mutex_);

private:
  struct Waiting
  {
    std::shared_ptr<http::Exchange> exchange;
    TxId id;
    std::chrono::steady_clock::time_point deadline;
    std::function<void()> go_on;
  };
  /// @param refusal  set if it is over because the request cannot go on
  bool is_over(const Waiting& one, std::optional<Response>& refusal) const;

  const consensus::Ordering& ordering_;
  const base::Clock& clock_;
  std::atomic<std::size_t> count_{0};
  base::Mutex mutex_;
  std::vector<Waiting> waiting_ GUARDED_BY(mutex_);
};
}
