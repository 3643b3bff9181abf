#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <string>

namespace concordat::cli
{
struct TxOptions
{
  ConnectionOptions connection;
  std::string txid;
  unsigned timeout_seconds = 60; ///< of `wait`
};

/// Prints Unknown, Pending, Committed or Invalid (http-api.md §2.8).
Outcome run_tx_status(const TxOptions& options, Console& console);

/// Returns when the transaction is committed; fails when it is invalid, or still not committed after the time.
Outcome run_tx_wait(const TxOptions& options, Console& console);
}
