#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <string>

namespace concordat::cli
{
struct SnapshotOptions
{
  ConnectionOptions connection;
  std::string file; ///< - is standard input
};

/// Verifies a snapshot against the service's certificate without asking anybody. Exit::not_verified if it does not.
Outcome run_snapshot_verify(const SnapshotOptions& options, Console& console);
}
