#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "consensus/configuration.h"
#include "consensus/view_history.h"
#include "kv/store.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// Who agrees with whom, as far as this node knows.
struct Agreement
{
  View view = 0;
  EngineId self = 1;
  EngineId leader = 0;  ///< 0: nobody that this node knows of
  bool primary = false; ///< this node takes writes
  Configuration configuration;
  std::vector<PeerProgress> progress; ///< of the others, if this node leads
};

/// The order of transactions as those see it who answer requests: they put transactions into it, and ask and wait for
/// what became of them.
///
/// Any thread may call. A transaction is named by its whole id, never by its seqno alone: after a view has ended
/// without a transaction, its seqno belongs to another one.
class Ordering
{
public:
  /// Told the id of a transaction, before `Done` can be called; called under locks, so it may only note it.
  using Named = std::function<void(TxId)>;
  /// Told once, and always: the transaction is durable and agreed on, or why that is not known.
  /// Error::lost: it never will be, which is final. Error::unavailable: this node cannot tell, for example because its
  /// disk failed while it stored the transaction.
  /// It is called on the thread that agreed, or on the caller's; it may submit and ask, and must not wait.
  using Done = std::function<void(const Result<void>&)>;

  virtual ~Ordering() = default;

  /// Commits a transaction to the head and queues it for agreement.
  /// @return its id. Error::conflict: run it again; Error::unavailable: this node cannot write now, the message says
  ///         why; Error::limit: too much waits, or this transaction alone is too large, the message says which.
  ///         `done` is called only if an id was returned.
  virtual Result<TxId> submit(const kv::WriteTransaction& transaction, const Named& named, Done done) = 0;

  /// A barrier: tells once the transaction is committed, at once if that is so already; for answers about state that is
  /// not yet agreed on. Told an error as soon as it is lost, or this node cannot write or stops: nobody waits for ever.
  /// @param id  of a transaction that this node has, executed or committed; 0.0, the empty state, counts as committed.
  ///            Error::unavailable at once for one that may come to be but is not here.
  virtual void when_committed(TxId id, Done done) = 0;

  /// Whether this node leads others, whom it has to ask with `when_fresh` before it answers a read.
  virtual bool asks_others() const = 0;
  /// For reads that must not be older than what anybody was told before: asks the other nodes whether this one still
  /// leads, one round for all who ask meanwhile.
  /// @return true if there is nothing to ask: this node is alone, or does not lead and so promises nothing; `done` is
  ///         not called then. Else it is called as for `when_committed`: what is committed here from then on is fresh
  ///         enough, or Error::unavailable: another node may have gone on.
  virtual bool when_fresh(Done done) = 0;
  /// The same for what only a primary may answer: a node that does not lead, or not yet, tells Error::unavailable.
  /// @return true if there is nothing to ask: this node is alone, and takes writes
  virtual bool when_primary(Done done) = 0;

  /// The view in which this node writes, or wrote last.
  virtual View view() const = 0;
  virtual bool can_write() const = 0;
  virtual Agreement agreement() const = 0;
  /// Transactions that wait for agreement.
  virtual std::uint64_t waiting() const = 0;
  /// The newest signature transaction that is committed; 0.0 before the first.
  virtual TxId committed() const = 0;
  virtual ViewHistory views() const = 0;
  /// What is known of a transaction id (receipts.md §4.2).
  virtual TxStatus status(TxId id) const = 0;

  /// The first signature transaction at or after `seqno`, which makes its receipt; nothing if none is committed.
  virtual Result<std::optional<Seqno>> signature_covering(Seqno seqno) const = 0;
  /// The ledger entry of a committed transaction. Error::not_found for any other seqno.
  virtual Result<std::string> read(Seqno seqno) const = 0;
};
}
