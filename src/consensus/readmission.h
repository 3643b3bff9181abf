#pragma once

#include "base/mutex.h"
#include "consensus/peers.h"
#include "consensus/roll_call.h"
#include "kv/store.h"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat::consensus
{
/// How a node that has been part of a network begins again.
struct Return
{
  std::uint64_t start = 0;  ///< random, never 0
  bool accept_loss = false; ///< a majority of the voters is enough where all are needed
};

/// The id under which a node that has come back takes part from this start of it on, if the committed state gives it
/// one. If not, and `give`, sees to it that it soon does, unless the node is to take no part.
/// @param node  as the way to the others names it
using Readmit = std::function<std::optional<EngineId>(
    const kv::Snapshot&, const std::string& node, std::uint64_t start, bool give)>;

/// Calls the roll for a node that comes back, and answers others that do. `hear` may be called from any thread, the
/// rest belongs to the consensus thread.
class Readmission
{
public:
  Readmission(Peers* peers, Readmit readmit, std::chrono::milliseconds interval, std::chrono::milliseconds patience);

  /// What another node says of itself. Any bytes.
  void hear(const std::string& node, std::string presence) EXCLUDES(mutex_);
  bool has_mail() const EXCLUDES(mutex_);

  /// Whether `step` has anything to do. @param lonely  as there
  bool has_work(bool lonely) const EXCLUDES(mutex_)
  {
    return (call_ && (!settled_ || lonely)) || has_mail();
  }

  /// This node comes back, and calls until it is settled.
  void begin(const Return& how, std::chrono::steady_clock::time_point now);
  /// It takes part. It calls again only when it hears no primary: one may have given it another id just before, and
  /// nobody listens to the one that it has.
  void settle();

  /// What others have said to be committed since this was asked for last.
  std::vector<LogPosition> take_committed()
  {
    return std::exchange(committed_, {});
  }

  /// What a step goes by.
  struct Here
  {
    Presence own; ///< but for `start`, `answers`, `receiver`, `admitted` and `former`
    /// Whether this node is primary, and confirmed by others than the one with that id.
    std::function<bool(EngineId)> may_admit;
    bool lonely = false; ///< it has heard of no primary for long
    const kv::Snapshot& committed;
    const Configuration& configuration; ///< after what is committed
    std::chrono::steady_clock::time_point now;
  };

  /// Answers and calls.
  /// @return how this node takes part, if that is known now: the same until something changes
  std::optional<RollCall::Verdict> step(Here here) EXCLUDES(mutex_);

private:
  void take(const std::string& node, const std::string& bytes, const Here& here);

  Peers* const peers_;
  const Readmit readmit_;
  const std::chrono::milliseconds interval_;
  const std::chrono::milliseconds patience_;

  std::optional<RollCall> call_;
  std::vector<LogPosition> committed_;
  bool settled_ = false;
  std::chrono::steady_clock::time_point next_call_;
  std::chrono::steady_clock::time_point patient_from_;
  std::chrono::steady_clock::time_point next_word_;

  mutable base::Mutex mutex_;
  std::deque<std::pair<std::string, std::string>> inbox_ GUARDED_BY(mutex_);
};
}
