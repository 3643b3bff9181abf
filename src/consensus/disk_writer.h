#pragma once

#include "base/worker_pool.h"
#include "consensus/batch.h"
#include "consensus/durable_state.h"
#include "consensus/invariants.h"
#include "consensus/ledger_writer.h"
#include "consensus/promises.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace concordat::consensus
{
/// What a round of the engine needs on the disk, in this order.
struct Write
{
  std::uint64_t round = 0;           ///< its number; grows from write to write
  std::optional<DurableState> state; ///< of which term, vote and terms opened count; nothing if they are as before
  std::optional<Seqno> cut_to;       ///< everything behind it is replaced
  std::vector<std::shared_ptr<const Batch>> batches;

  bool empty() const
  {
    return !state && !cut_to && batches.empty();
  }
};

/// Brings what rounds need to the disk: here and now, or elsewhere, so that whoever asks for it never waits. In the
/// order in which it was asked for, with one sync for all batches that wait, up to a bound.
///
/// Belongs to the consensus thread; the work itself is done where the executor does it. What was asked for is kept in
/// memory until it is durable. After an error nothing more is written until `drop`.
class DiskWriter
{
public:
  /// @param elsewhere  does the work; null: everything is done here. May go before this does
  /// @param told       called where the work is done, whenever `stored` has something new to say
  DiskWriter(
      Promises& promises, LedgerWriter& ledger, base::Executor* elsewhere, std::function<void()> told,
      Invariants* invariants);
  /// Waits for what is being written at this moment, and forgets the rest.
  ~DiskWriter();
  DiskWriter(const DiskWriter&) = delete;
  DiskWriter& operator=(const DiskWriter&) = delete;

  /// Durable when it returns. @pre !is_busy()
  Result<void> write_here(const Write& write);
  /// Durable once `stored` says so. @pre there is an executor
  void write(Write write);
  /// Gives complete files that end at or below `seqno` their committed name, in order with the writes. Nobody is told.
  void name_committed(Seqno seqno);

  /// The newest round whose write is durable, of those that were done elsewhere; 0 if there is none. Or the error that
  /// has ended the work.
  Result<std::uint64_t> stored() const;
  /// Something is being done elsewhere, or waits for it.
  bool is_busy() const;
  /// Bytes of the batches that wait.
  std::uint64_t bytes_waiting() const;
  /// Grows whenever the disk has done something: as long as it does not while `is_busy`, the disk hangs.
  std::uint64_t steps() const;
  /// Forgets what waits, and any error. What is being written at this moment still is, as long as `is_busy` says so.
  void drop();

private:
  struct Work;
  void submit();

  const std::shared_ptr<Work> work_; ///< shared with the job that was submitted, which may never get its turn
  base::Executor* const elsewhere_;
};
}
