#pragma once

#include "consensus/ordering.h"
#include "kv/store.h"
#include "ledger/merkle.h"
#include "simulation/plan.h"
#include "simulation/verdict.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::simulation
{
/// What all nodes together have agreed on, as soon as the first of them says so, and what was said of it to anybody:
/// whatever contradicts it from then on is wrong.
class History
{
public:
  History(const std::deque<Plan>& plans, Verdict& verdict) : plans_(plans), verdict_(verdict) {}

  /// A transaction got a place in the order of some primary.
  /// @param plan  nothing: the framework's own
  void placed(TxId txid, std::optional<std::size_t> plan);
  /// A node says that this entry of its ledger is committed; each node says so in order.
  void committed(Seqno seqno, std::string_view bytes);
  /// A node shows this state to its readers, up to which it has said what is committed.
  void shown(const kv::Snapshot& state);
  /// A node has become primary in this view, with what it knows as committed.
  void led(View view, const std::string& node, TxId committed);
  /// Somebody was told that this is committed.
  void acknowledged(TxId txid);
  /// Somebody was told a status, which is final if it is committed or invalid.
  void told(TxId txid, consensus::TxStatus status);
  /// Somebody was told that nothing was done, and never will be.
  void denied(std::size_t plan);

  TxId last() const
  {
    return entries_.empty() ? TxId{} : entries_.back().txid;
  }
  /// The newest that somebody was told of.
  Seqno last_acknowledged() const
  {
    return last_acknowledged_;
  }
  bool is_committed(TxId txid) const;
  /// Any transaction that ever had a place; 0.0 if there was none.
  TxId named(std::uint64_t number) const
  {
    return named_.empty() ? TxId{} : named_[number % named_.size()];
  }
  /// Where a plan was given a place, once or, after a change of view, in vain.
  bool has_place(std::size_t plan, TxId txid) const;
  /// What a plan has to answer on the state after `last`.
  std::string answer(std::size_t plan, Seqno last) const;
  /// Of the tree over everything up to a committed signature.
  std::optional<Digest> root_at(TxId signature) const;

private:
  struct Entry
  {
    TxId txid;
    std::string bytes;
    bool is_signature = false;
    Digest root{}; ///< if it is one
  };
  using Values = std::vector<std::pair<Seqno, std::optional<std::string>>>;

  void append(Seqno seqno, std::string_view bytes);
  void compare_with_plans(const kv::State& state);
  void compare(const kv::State& one, const kv::State& other);
  void check_membership(const kv::Snapshot& before, const kv::Snapshot& after);
  kv::Snapshot known_when_placed(Seqno seqno) const;

  const std::deque<Plan>& plans_;
  Verdict& verdict_;
  struct Placed
  {
    std::optional<std::size_t> plan;
    Seqno known = 0; ///< what was committed then
  };
  std::map<TxId, Placed> placed_;
  std::vector<TxId> named_;
  std::vector<Entry> entries_; ///< by seqno, from 1 on
  ledger::MerkleTree tree_;
  std::map<std::pair<std::string, std::string>, Values> values_; ///< of what plans wrote, by map and key
  std::map<Seqno, kv::Snapshot> states_;
  std::map<View, std::string> primaries_;
  std::set<std::size_t> done_;   ///< plans that are committed
  std::set<std::size_t> denied_; ///< plans that never may be
  std::set<TxId> invalid_;
  Seqno last_acknowledged_ = 0;
};
}
