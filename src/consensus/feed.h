#pragma once

#include "base/mutex.h"
#include "concordat/error.h"
#include "concordat/transaction.h"
#include "kv/write_set.h"
#include "ledger/secrets.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace concordat::consensus
{
/// What one committed transaction wrote.
struct CommittedTransaction
{
  TxId txid;
  std::optional<Digest> claims;
  kv::WriteSet writes;
  bool is_signature = false;
};

/// The committed write sets in their order, for whoever follows them: indexes, history, backups.
///
/// The ledger itself is the queue: a reader has a position in it and reads on when it likes, so that one that is slow
/// costs no memory and never holds up a commit, and one that begins late misses nothing. What is committed is never
/// cut, so a reader never has to go back. Any thread may call; a Reader is used by one thread at a time.
class Feed
{
public:
  using ReadEntry = std::function<Result<std::string>(Seqno)>;
  /// Told on the consensus thread how far is committed now; may only wake somebody.
  using Wake = std::function<void(TxId)>;

  /// @param read  the bytes of a committed entry
  Feed(ReadEntry read, const ledger::LedgerSecrets& secrets, TxId committed);

  class Reader
  {
  public:
    /// The next transaction; nothing if it is not committed yet. After an error it stays where it is.
    Result<std::optional<CommittedTransaction>> next();
    /// Of the transaction that comes next.
    Seqno position() const
    {
      return next_;
    }

  private:
    friend class Feed;
    Reader(const Feed& feed, Seqno first) : feed_(&feed), next_(first) {}

    const Feed* feed_;
    Seqno next_;
  };
  /// @param first  ≥ 1
  Reader from(Seqno first) const;

  /// Ends when it is destroyed; `wake` is not running any more then.
  class Subscription
  {
  public:
    Subscription(Subscription&& other) noexcept;
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    Subscription& operator=(Subscription&&) = delete;
    ~Subscription();

  private:
    friend class Feed;
    Subscription(Feed& feed, std::uint64_t number) : feed_(&feed), number_(number) {}

    Feed* feed_;
    std::uint64_t number_;
  };
  Subscription subscribe(Wake wake);

  /// On the consensus thread: readers see everything up to there.
  void committed(TxId signature);
  TxId committed() const;

private:
  const ReadEntry read_;
  const ledger::LedgerSecrets& secrets_;
  mutable base::Mutex mutex_;
  TxId committed_ GUARDED_BY(mutex_);
  std::uint64_t last_number_ GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, Wake> wakes_ GUARDED_BY(mutex_);
};
}
