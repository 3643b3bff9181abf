#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <string>
#include <vector>

namespace concordat::cli
{
struct LedgerOptions
{
  std::vector<std::string> directories;
  std::string service_certificate; ///< file; the service's identity at the end must be this one
  bool committed_only = false;
  bool recovery = false;
  bool strict = false;

  // of `show`
  std::string table; ///< only transactions that write tables whose name begins so
  std::string txid;  ///< only this one
  bool full = false; ///< whole values instead of their beginning
};

/// Checks a ledger offline, without secrets. Exit::not_verified if there is a finding that is not a note.
Outcome run_ledger_verify(const LedgerOptions& options, Console& console);

/// Prints the public part of transactions, then what `verify` says of the ledger if it is not whole.
Outcome run_ledger_show(const LedgerOptions& options, Console& console);
}
