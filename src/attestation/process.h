#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

namespace concordat::attestation
{
/// Keeps secrets in memory from being written to a core file and from being read by other processes of the same user:
/// no core dumps, no attaching. Call once, before the first secret; a debugger can no longer attach afterwards.
void harden_process();

/// SHA-256 of the executable file that this process runs.
Result<Digest> executable_digest();
}
