#pragma once

#include "concordat/error.h"
#include "consensus/log_entry.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat::consensus
{
/// Where entries of the log stand in the ledger: the place of every few hundredth batch, and where each term begins.
/// Some ten bytes a thousand batches; from a place on, the ledger itself tells the rest.
class LogPlaces
{
public:
  /// The entry at `index` is a batch whose first transaction is `seqno`.
  struct Place
  {
    Index index = 0;
    Seqno seqno = 0;
  };

  /// @param most  places that are kept; beyond, every other one is let go of
  explicit LogPlaces(std::size_t most = 65'536) : most_(most) {}

  /// The next committed entry. After a gap, what was known is forgotten: nobody could count across it.
  void note(Index index, View term, Seqno first_seqno);

  /// Of the first entry that can be found; 0 if there is none.
  Index first() const
  {
    return places_.empty() ? 0 : places_.front().index;
  }
  /// Of the last entry that was noted.
  Index last() const
  {
    return last_;
  }
  /// @return nothing outside of first() − 1 … last(), or where it was never noted
  std::optional<View> term(Index index) const;
  /// The last one at or before an index. @return nothing before first()
  std::optional<Place> before(Index index) const;

private:
  std::size_t most_;
  Index stride_ = 256;         ///< at least so many entries lie between two places
  Seqno seqno_stride_ = 4'096; ///< unless so many transactions do
  std::vector<Place> places_;
  std::vector<std::pair<Index, View>> terms_; ///< the first entry of each
  Index last_ = 0;
};

/// Reads entries of the log from the ledger.
struct LedgerSpan
{
  LogPlaces::Place from;                     ///< where it starts to count
  Index first = 0;                           ///< the first entry that is wanted
  Index last = 0;                            ///< the last one that there is
  std::size_t most = 2'048;                  ///< entries
  std::uint64_t most_transactions = 100'000; ///< that are looked at behind the first that is wanted
};

/// @param read  one entry of the ledger
/// @return at least `first`; Error::corrupt when the ledger does not say what stands there
Result<std::vector<LogEntry>> read_log(const LedgerSpan& span, const std::function<Result<std::string>(Seqno)>& read);
}
