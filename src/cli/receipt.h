#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <string>

namespace concordat::cli
{
struct ReceiptOptions
{
  ConnectionOptions connection;
  std::string txid;
  std::string file; ///< where to write it, or from where to read it; - is standard output or input
  unsigned timeout_seconds = 60;
};

/// Fetches the receipt of a committed transaction; waits while the node has not prepared it yet.
Outcome run_receipt_get(const ReceiptOptions& options, Console& console);

/// Verifies a receipt against the service's certificate without asking anybody. Exit::not_verified if it does not, or
/// if it is not that of the transaction that was named.
Outcome run_receipt_verify(const ReceiptOptions& options, Console& console);
}
