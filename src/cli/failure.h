#pragma once

#include "concordat/error.h"

#include <expected>
#include <string>

namespace concordat::cli
{
/// Exit codes, as `concordat --help` and docs/cli.md document them.
enum class Exit : int
{
  ok = 0,
  failed = 1,       ///< refused by the service, or a local file or process failed
  usage = 2,        ///< the command line is wrong
  unreachable = 3,  ///< the service could not be reached, or went away
  not_verified = 4, ///< a receipt, ledger or snapshot does not verify
};

/// Why a command did not do what it was asked: the cause, and what to do next (may be empty).
struct Failure
{
  Exit exit = Exit::failed;
  std::string cause;
  std::string next = {};
};

template <typename T> using Attempt = std::expected<T, Failure>;
using Outcome = Attempt<void>;

inline std::unexpected<Failure> refuse(Exit exit, std::string cause, std::string next = {})
{
  return std::unexpected(Failure{exit, std::move(cause), std::move(next)});
}
}
