#pragma once

#include "cli/console.h"
#include "cli/failure.h"

#include <optional>
#include <string>

namespace concordat::cli
{
struct SandboxOptions
{
  std::string workspace = "./workspace";
  std::optional<unsigned> nodes;   ///< 1; only for a new workspace
  std::optional<unsigned> port;    ///< of the first node: 8000, or that of the run before
  std::optional<unsigned> members; ///< 3; only for a new workspace
  std::optional<unsigned> users;   ///< 1; only for a new workspace
  std::string node_binary;         ///< concordatd beside this program if empty
  unsigned timeout_seconds = 60;
  bool fresh = false;
};

/// Runs a local network until SIGINT or SIGTERM. The nodes end with this process, however that ends.
Outcome run_sandbox(const SandboxOptions& options, Console& console);
}
