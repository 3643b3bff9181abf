#pragma once

#include "cli/console.h"
#include "cli/workspace.h"

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace concordat::cli
{
/// A node of a sandbox that runs.
struct RunningNode
{
  std::string address; ///< host:port for clients
  pid_t pid = 0;
  bool primary = false;
  bool votes = false; ///< counts for a majority
};

/// Tells where the network listens, who can call, and what to try next: commands that work when pasted.
void print_welcome(Console& console, const Workspace& workspace, const std::vector<RunningNode>& running);

/// The last lines of a text, indented, with nothing that could upset a terminal.
std::string last_lines(std::string_view text, std::size_t count);
}
