#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// Where the signature transactions are, in bounded memory: the newest by their seqnos; older ones are found in the
/// ledger, by reading on from the transaction that is asked for to the end of its batch, which is bounded too.
///
/// Guarded by its owner.
class SignatureIndex
{
public:
  static constexpr std::size_t default_bound = 65'536;

  /// @param all  seqnos of all signature transactions, ascending; the newest `bound` are kept
  explicit SignatureIndex(const std::vector<Seqno>& all, std::size_t bound = default_bound);

  void add(Seqno signature);
  std::optional<Seqno> newest() const;
  std::size_t size() const
  {
    return newest_.size();
  }
  /// The first signature at or after `seqno`.
  /// @return what is known: nothing if there is none, or if it is too old to be in memory (`must_read` says so)
  std::optional<Seqno> find(Seqno seqno) const;
  bool must_read(Seqno seqno) const;

private:
  const std::size_t bound_;
  std::deque<Seqno> newest_;
  Seqno forgotten_ = 0; ///< the last one that is in memory no more
};

/// Finds the first signature transaction at or after `seqno` in the ledger.
/// @param read  the bytes of one entry
Result<std::optional<Seqno>>
find_signature(Seqno seqno, Seqno last, const std::function<Result<std::string>(Seqno)>& read);
}
