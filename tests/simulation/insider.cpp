#include "insider.h"

#include <algorithm>

namespace concordat::simulation
{
using consensus::TxStatus;

void Insider::serve(node::Node& node)
{
  node_ = &node;
  view_ = 0;
  look_around();
  woken_ = {};
  subscription_.emplace(node.sequencer().feed().subscribe(
      [this](TxId txid)
      {
        if (txid.seqno <= woken_.seqno)
          verdict_.wrong("the feed wakes for " + txid.to_string() + " after " + woken_.to_string());
        woken_ = txid;
        if (node_->store().committed()->txid() != txid)
          verdict_.wrong("the feed wakes for " + txid.to_string() + ", which readers do not see");
      }));
}

void Insider::process_ended()
{
  subscription_.reset();
  waits_.clear();
  node_ = nullptr;
}

void Insider::look_around()
{
  const auto view = node_->sequencer().view();
  if (view == view_)
    return;
  view_ = view;
  const auto views = node_->sequencer().views();
  verdict_.wrong_if(model_.view_begun(view, views.starts().back()));
}

void Insider::wait_for_some()
{
  look_around();
  auto id = model_.named(random_.below(1'000'000));
  if (random_.one_in(8))
    id = node_->store().committed()->txid();
  if (random_.one_in(8))
    id.seqno += 1 + random_.below(5); // nobody's, or not of this view
  const auto number = ++last_number_;
  waits_[number] = id;
  node_->sequencer().when_committed(id, [this, number](const Result<void>& outcome) { told(number, outcome); });
  if (waits_.contains(number) && !node_->sequencer().can_write())
    verdict_.wrong("whoever waits for " + id.to_string() + " is told nothing, though nothing can be written");
}

void Insider::told(std::uint64_t number, const Result<void>& outcome)
{
  look_around();
  const auto wait = waits_.find(number);
  if (wait == waits_.end())
    return verdict_.wrong("somebody is told twice that something is committed");
  const auto id = wait->second;
  waits_.erase(wait);
  check_told(id, outcome);
  at_once_();
}

void Insider::check_told(TxId id, const Result<void>& outcome)
{
  auto& order = node_->sequencer();
  const auto status = order.status(id);
  verdict_.count(
      outcome                                   ? "barrier told: committed"
      : outcome.error().code == ErrorCode::lost ? "barrier told: lost"
                                                : "barrier told: not known");
  if (outcome)
  {
    if (id != TxId{} && status != TxStatus::committed)
      verdict_.wrong("somebody is told that " + id.to_string() + " is committed, and it is not");
    if (node_->store().committed()->seqno() < id.seqno)
      verdict_.wrong("somebody is told that " + id.to_string() + " is committed before readers see it");
    model_.acknowledge_all(id.seqno);
  }
  else if (outcome.error().code == ErrorCode::lost)
    verdict_.wrong_if(model_.told(id, TxStatus::invalid));
  else if (status == TxStatus::committed)
    verdict_.wrong("somebody is told that nobody knows of " + id.to_string() + ", which is committed");
  else if (status != TxStatus::unknown && order.can_write())
    verdict_.wrong("somebody is told that nothing can be written: " + outcome.error().describe());
}

void Insider::check_told()
{
  const auto& order = node_->sequencer();
  const auto committed = order.committed();
  for (const auto& [number, id] : waits_)
    if (id.seqno <= committed.seqno || !order.can_write())
      verdict_.wrong("whoever waits for " + id.to_string() + " is never told");
}

void Insider::check_served()
{
  look_around();
  const auto state = node_->store().committed();
  const auto& order = node_->sequencer();
  const auto committed = order.committed();
  auto& served = seen_.served;
  if (state->txid() != committed)
    verdict_.wrong(
        "state " + state->txid().to_string() + " is served while " + committed.to_string() + " is committed");
  if (committed.seqno < served.seqno || committed.view < served.view)
    verdict_.wrong("the committed state goes back from " + served.to_string() + " to " + committed.to_string());
  const auto covering = order.signature_covering(committed.seqno);
  if (committed.seqno != 0 && (!covering || *covering != committed.seqno))
    verdict_.wrong("state is served that no signature covers");
  served = committed;
  verdict_.wrong_if(model_.compare(*state));
}

void Insider::check_signatures()
{
  look_around();
  const auto& order = node_->sequencer();
  const auto committed = order.committed();
  const auto views = order.views();
  for (Seqno seqno = 1; seqno <= committed.seqno; ++seqno)
  {
    const auto* const placed = model_.at(seqno);
    const auto covering = order.signature_covering(seqno);
    if (!covering || !*covering || **covering < seqno || **covering > committed.seqno)
      verdict_.wrong("no signature covers " + std::to_string(seqno));
    else if ((**covering == seqno) == (placed != nullptr))
      verdict_.wrong(
          "seqno " + std::to_string(seqno) + (placed ? " is a signature where a write was" : " holds nothing known"));
    if (placed && views.view_of(seqno) != placed->txid.view)
      verdict_.wrong("transaction " + placed->txid.to_string() + " is said to be of another view");
  }
}

void Insider::read_feed()
{
  look_around();
  auto& feed = node_->sequencer().feed();
  auto& fed = seen_.fed;
  auto reader = feed.from(random_.one_in(4) ? 1 + random_.below(fed.size() + 1) : fed.size() + 1);
  const auto committed = node_->sequencer().committed();
  for (auto position = reader.position();; ++position)
  {
    const auto next = reader.next();
    if (!next)
      return verdict_.wrong("the feed cannot be read: " + next.error().describe());
    if (!*next)
    {
      if (position <= feed.committed().seqno)
        verdict_.wrong("the feed ends before what is committed");
      return;
    }
    const auto& given = **next;
    verdict_.count("transaction fed");
    if (given.txid.seqno != position || position > committed.seqno)
      return verdict_.wrong(
          "the feed gives " + given.txid.to_string() + " where " + std::to_string(position) + " belongs");
    if (position <= fed.size() && fed[position - 1] != given.txid)
      return verdict_.wrong(
          "the feed gives " + given.txid.to_string() + " where it has given " + fed[position - 1].to_string());
    if (position == fed.size() + 1)
      fed.push_back(given.txid);
    const auto* const placed = model_.at(position);
    if (given.is_signature == (placed != nullptr) || (placed && placed->txid != given.txid))
      return verdict_.wrong("the feed gives " + given.txid.to_string() + ", which is not what has that place");
    kv::WriteSet writes;
    for (const auto& [map, written] : given.writes)
      if (!map.starts_with("public:ccf."))
        writes[map] = written;
    if (placed && (writes != placed->writes || given.claims.value_or(Digest{}) != placed->claims))
      return verdict_.wrong("the feed says of " + given.txid.to_string() + " what it did not write");
  }
}
}
