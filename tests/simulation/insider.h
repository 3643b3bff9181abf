#pragma once

#include "clients.h"
#include "consensus/feed.h"
#include "model.h"
#include "node/node.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace concordat::simulation
{
/// What others in the process rely on, asked directly: barriers, the feed of what was committed, the committed state.
class Insider
{
public:
  /// What was seen so far, which no restart may take back.
  struct Seen
  {
    TxId served;           ///< the newest committed state
    std::vector<TxId> fed; ///< by seqno, from 1 on
  };

  /// @param at_once  called on the thread that tells somebody something, from within
  Insider(Random& random, Model& model, Verdict& verdict, std::function<void()> at_once)
      : random_(random),
        model_(model),
        verdict_(verdict),
        at_once_(std::move(at_once))
  {
  }

  void serve(node::Node& node);
  void process_ended();

  /// Before anything is looked at: if a view has begun, what it took the place of is gone.
  void look_around();
  /// Asks to be told when something is committed.
  void wait_for_some();
  /// What readers are given is signed, never goes back, and is what was written up to there.
  void check_served();
  /// Reads on in the feed, or from the start.
  void read_feed();
  /// Nobody waits for what is known, or cannot come to be.
  void check_told();
  /// Every seqno up to what is committed is a signature or has a place.
  void check_signatures();

  Seen& seen()
  {
    return seen_;
  }

private:
  void told(std::uint64_t number, const Result<void>& outcome);
  void check_told(TxId id, const Result<void>& outcome);

  Random& random_;
  Model& model_;
  Verdict& verdict_;
  const std::function<void()> at_once_;
  Seen seen_;

  // Of the running process.
  node::Node* node_ = nullptr;
  View view_ = 0;
  std::optional<consensus::Feed::Subscription> subscription_;
  TxId woken_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, TxId> waits_;
};
}
