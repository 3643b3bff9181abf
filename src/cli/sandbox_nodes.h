#pragma once

#include "cli/child_process.h"
#include "cli/console.h"
#include "cli/failure.h"
#include "cli/sandbox_text.h"
#include "cli/signals.h"
#include "cli/workspace.h"

#include <boost/json/object.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace concordat::cli
{
/// The nodes of a sandbox, as processes that end with this one.
class SandboxNodes
{
public:
  SandboxNodes(const Workspace& workspace, std::string binary);

  /// Starts all nodes and waits until they serve. Those that were never there before join first, one after the other,
  /// and are trusted.
  /// @return false if the process was asked to end meanwhile
  Attempt<bool> start(Signals& signals, std::chrono::seconds patience);
  /// Of those that live.
  std::vector<RunningNode> running();
  /// Tells of nodes that have ended, and of roles that have changed, since the last call.
  /// @return an error once none lives
  Outcome watch(Console& console);
  void stop();

private:
  struct Node
  {
    std::optional<ChildProcess> process;
    std::string address; ///< once it serves
    bool told = false;   ///< that it has ended
  };

  Outcome launch(unsigned index);
  Attempt<bool> wait_until_ready(unsigned index, bool trust);
  Attempt<bool> wait_until_agreed();
  void trust_pending();
  std::optional<boost::json::object> ask(unsigned index, const boost::json::object& command) const;
  std::optional<boost::json::object> list();
  Failure failed(unsigned index, const std::string& how) const;

  const Workspace& workspace_;
  const std::string binary_;
  std::vector<Node> nodes_;
  std::optional<unsigned> primary_;
  Signals* signals_ = nullptr;
  std::chrono::steady_clock::time_point end_;
};
}
