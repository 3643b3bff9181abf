#pragma once

#include "consensus/view_history.h"
#include "kv/store.h"
#include "kv/write_set.h"
#include "plan.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// What the ledger must hold, in the plainest form: every transaction that was given a place, in order; and what was
/// said of it to anybody. Signature transactions have no place here.
///
/// Whatever returns a sentence says with it what must never be.
class Model
{
public:
  using Wrong = std::optional<std::string>;

  struct Placed
  {
    TxId txid;
    std::optional<std::size_t> plan; ///< nothing: the framework's own
    kv::WriteSet writes;             ///< but those in tables of the framework
    Digest claims{};
    bool acknowledged = false;
  };

  explicit Model(const std::deque<Plan>& plans) : plans_(&plans) {}

  /// A transaction got a place; those that held it or a later one before are gone.
  Wrong place(TxId txid, std::optional<std::size_t> plan);
  /// Somebody was told that what lies there is committed, and with it all before it.
  void acknowledge_all(Seqno last);
  /// A view begins with `first`: what stood there and after it in earlier views is gone.
  Wrong view_begun(View view, Seqno first);
  /// Everything after `last` is gone.
  Wrong cut(Seqno last);

  /// Null for what has no place, or has lost it.
  const Placed* find(TxId txid) const;
  const Placed* at(Seqno seqno) const;
  /// Any transaction that ever had a place, lost or not; 0.0 if there was none.
  TxId named(std::uint64_t number) const
  {
    return named_.empty() ? TxId{} : named_[number % named_.size()];
  }

  /// @return how the state differs from the transactions up to its seqno
  Wrong compare(const kv::State& state) const;
  /// What a plan has to answer on the state after `last`.
  std::string answer(std::size_t plan, Seqno last) const;
  /// Somebody was told a status, which is final if it is committed or invalid.
  Wrong told(TxId txid, consensus::TxStatus status);
  /// The disk was put back: what was told before may be otherwise now, and ids are given out again.
  void forget_told()
  {
    final_.clear();
    named_.clear();
  }

private:
  const std::deque<Plan>* plans_;
  std::map<Seqno, Placed> placed_;
  std::vector<TxId> named_;
  std::map<TxId, consensus::TxStatus> final_;
};
}
