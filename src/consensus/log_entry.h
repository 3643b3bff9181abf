#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "consensus/configuration.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::consensus
{
/// What an engine entry says of a signed batch: the bytes themselves lie in the ledger.
struct Descriptor
{
  Seqno first = 0;
  Seqno last = 0;           ///< the signature transaction
  std::uint64_t length = 0; ///< bytes of all entries
  Digest digest{};          ///< Merkle leaf of the signature transaction, which binds every entry of the batch

  bool operator==(const Descriptor&) const = default;
  /// first, last and length as u64 in little-endian order, then the digest: 56 bytes.
  std::string encode() const;
  /// Error::invalid unless there are 56 bytes with 1 ≤ first ≤ last < 2^63 and a length that is not 0.
  static Result<Descriptor> decode(std::string_view bytes);
};

/// The empty entry that opened a term: in the ledger nothing stands for it.
struct OpenedTerm
{
  View term = 0;
  Index index = 0;

  bool operator==(const OpenedTerm&) const = default;
};

/// Where a log ends. Of two logs the newer is the one whose last entry has the higher term, then the longer.
struct LogPosition
{
  View term = 0;
  Index index = 0;

  auto operator<=>(const LogPosition&) const = default;
};

/// An entry of the raft log: a batch, or (without descriptor) the empty one that opens a term.
struct LogEntry
{
  Index index = 0;
  View term = 0;
  std::optional<Descriptor> batch = {};
  /// Who takes part once the entry is applied, if the batch changes that; never without a batch.
  std::optional<ConfigurationChange> change = {};

  bool operator==(const LogEntry&) const = default;
};
}
