#pragma once

#include "base/mutex.h"
#include "peer/channel.h"
#include "peer/refusal.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace concordat::peer
{
/// Counts who was refused and why, and logs it once for each of them and each reason, not for each try. Any thread may
/// call.
class Refusals
{
public:
  using Counts = std::array<std::uint64_t, refusal_count>; ///< by `Refusal`

  /// @param who       tells the refused apart: a node's id if it is proved, else an address
  /// @param is_node   strangers share a bounded memory: when it is full, they are only counted
  /// @param sentence  what the log says
  void refused(const std::string& who, bool is_node, Refusal reason, const std::string& sentence) EXCLUDES(mutex_);
  /// All is well with a node that calls: what goes wrong next is news.
  void welcomed(const NodeId& node) EXCLUDES(mutex_);

  /// A call to a node did not come about. Logged once for each `about`, until one does.
  /// @param reason  none if it is no refusal of ours
  void failed(const NodeId& node, Refusal reason, const std::string& about, const std::string& sentence)
      EXCLUDES(mutex_);
  /// A call came about; logged if something was said before, and the first time.
  void reached(const NodeId& node, const std::string& sentence) EXCLUDES(mutex_);
  /// Nothing more is wanted of a node.
  void forget(const NodeId& node) EXCLUDES(mutex_);

  Counts counts() const EXCLUDES(mutex_);
  /// Lines in the log about what went wrong.
  std::uint64_t logged() const EXCLUDES(mutex_);

private:
  using Said = std::map<std::string, std::set<std::string>>; ///< by whom it is about

  bool is_first(Said& said, const std::string& who, const std::string& about) REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  Counts counts_ GUARDED_BY(mutex_){};
  Said nodes_ GUARDED_BY(mutex_);     ///< that call
  Said strangers_ GUARDED_BY(mutex_); ///< that call
  Said called_ GUARDED_BY(mutex_);
  std::set<NodeId> reached_ GUARDED_BY(mutex_);
  bool full_ GUARDED_BY(mutex_) = false;
  std::uint64_t logged_ GUARDED_BY(mutex_) = 0;
};
}
