#pragma once

#include "base/files.h"
#include "concordat/error.h"
#include "concordat/transaction.h"
#include "ledger/verdict.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat::ledger
{
struct VerifyOptions
{
  bool committed_only = false;
  bool recovery = false; ///< read `.recovery` files too
  bool strict = false;   ///< what only older writers do is an error, not a note
  /// Only what this service signed is proven, and it must be the one at the end. Without it the identity is the
  /// ledger's own claim, for which nobody vouches.
  std::optional<std::string> service_certificate_pem;
};

struct Finding
{
  std::string place; ///< a file or a transaction id
  std::string text;
  bool is_note = false; ///< an oddity that a reader must accept
};

struct VerifyReport
{
  std::vector<Finding> findings;
  std::uint64_t chunks = 0;
  std::uint64_t entries = 0;
  std::uint64_t signatures = 0;
  std::uint64_t cose_signatures = 0;
  std::optional<TxId> last;       ///< the last transaction read, signed or not
  std::optional<Verdict> verdict; ///< what is proven; nothing if nothing is

  /// Something is proven, and nothing was found that is not a note.
  bool ok() const;
};

/// What `concordat ledger show` prints of one transaction.
struct ShownTransaction
{
  TxId txid;
  std::uint8_t flags;
  std::size_t private_bytes;
  struct Table
  {
    std::string name;
    std::vector<std::pair<std::string, std::optional<std::string>>> writes; ///< nothing: removed
  };
  std::vector<Table> tables; ///< public ones
};

/// Checks a ledger without secrets, and without trusting a byte of it: framing, positions tables, order, the Merkle
/// tree, every signature by node and service, certificates, the states of nodes and service (ledger-format.md §8).
/// What that proves is the verdict (docs/audit.md). Reads chunk by chunk. A finding does not stop it unless nothing
/// more can be read.
/// @param on_transaction called for each transaction in order, may be empty
VerifyReport verify_ledger(
    base::FileSystem& files, const std::vector<base::Path>& directories, const VerifyOptions& options,
    const std::function<void(const ShownTransaction&)>& on_transaction = {});
}
