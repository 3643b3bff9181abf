#pragma once

#include "concordat/transaction.h"
#include "ledger/secrets.h"

#include <string_view>

namespace concordat::node
{
/// Writes, into the entry with which `secrets` change, how the new one follows the one before, and the new one itself,
/// wrapped for every node that takes part (ledger-format.md §10.2): those that are trusted, and those that retire and
/// are still counted on. A node whose record holds no key for that is left out, and named in the log: it can follow no
/// further, and has to be added anew. Where there is nobody but this node, which has sealed it, nothing is wrapped: the
/// ledger is in everybody's hands, and an RSA key is weaker than a secret.
/// @param self   the id of this node
/// @param first  the seqno of that entry; secrets.since(first) = first > 1
void write_secret_change(
    Transaction& transaction, const ledger::LedgerSecrets& secrets, std::string_view self, Seqno first);
}
