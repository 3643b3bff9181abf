#pragma once

#include "kv/store.h"
#include "kv/write_set.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// What the ledger must hold, in the plainest form: every transaction that was given a place, in order.
class Model
{
public:
  struct Placed
  {
    TxId txid;
    kv::WriteSet writes;
    bool acknowledged = false;
  };

  /// A transaction got a place; those that held it or a later one before are gone.
  /// @return a sentence if one of them had been acknowledged
  std::optional<std::string> place(TxId txid, kv::WriteSet writes);
  void acknowledge(TxId txid);
  /// Everything after `last` is gone.
  std::optional<std::string> cut(Seqno last);

  /// @return a sentence saying how the state differs from the transactions up to its seqno; signature transactions
  ///         have no place here, and tables of the framework are not compared
  std::optional<std::string> compare(const kv::State& state) const;
  /// Whether there is a transaction (not a signature) at a seqno.
  bool has(Seqno seqno) const
  {
    return placed_.contains(seqno);
  }

private:
  std::map<Seqno, Placed> placed_;
};
}
