#include "ledger/entry.h"
#include "ledger/verifier.h"
#include "node/json.h"
#include "node/tables.h"
#include "world.h"

#include <boost/json.hpp>

#include <utility>

/// Starts, stops and put-back disks.
namespace concordat::simulation
{
namespace
{
const std::vector<base::Path> both_directories = {ledger_directory, sealed_directory};
}

/// Comes back from what is on the disk.
/// @return false if it does not, with `refusal_`
bool World::boot(node::StartOptions options)
{
  first_placed_.reset();
  refusal_.clear();
  if (!founded_)
    invariants_.reset();
  if (check_invariants_ && !invariants_)
    invariants_ = std::make_unique<consensus::Invariants>();
  const auto mark = founded_ ? sealed().mark : consensus::Mark{};
  auto started = node::Node::start_driven(
      configuration_,
      std::make_unique<PlannedApplication>(
          plans_,
          PlannedApplication::Events{[this] { meanwhile(); }, [this](std::size_t plan) { clients_.handled(plan); }}),
      watched_, clock_, *platform_,
      {.pool = clients_,
       .invariants = invariants_.get(),
       .placed = [this](TxId txid) { placed(txid); },
       .placed_own = [this](TxId txid) { verdict_.wrong_if(model_.place(txid, std::nullopt)); }},
      options);
  if (!started)
  {
    refusal_ = started.error().describe();
    return false;
  }
  node_ = std::move(*started);
  founded_ = true;
  check_start(options, mark);
  return true;
}

void World::check_start(const node::StartOptions& options, const consensus::Mark& mark)
{
  auto& order = node_->sequencer();
  if (mark.txid != TxId{} && !options.accept_loss && order.status(mark.txid) != consensus::TxStatus::committed)
    verdict_.wrong("the node starts without " + mark.txid.to_string() + ", which was sealed as committed");
  kv::SnapshotTransaction state(node_->store().committed(), kv::RunBy::node);
  if (options.accept_loss && !node_->store().committed()->find(node::tables::accepted_losses))
    verdict_.wrong("a loss was accepted, and the ledger does not say so");
  const auto info = state.get(node::tables::service_info, ledger::single_key);
  const auto parsed = node::parse_json(info.value_or("{}"));
  service_certificate_ = node::string_member(parsed->get_object(), "cert");
  // It has started, which says that what it has written is committed.
  model_.acknowledge_all(order.committed().seqno);
  insider_.serve(*node_);
  clients_.serve(*node_, service_certificate_);
  serving_ = true;
  insider_.check_served();
  insider_.check_signatures();
}

void World::end_process()
{
  serving_ = false;
  encoding_failed_ = false;
  clients_.process_ended();
  insider_.process_ended();
  node_.reset();
}

/// The process ends in whatever it does, and comes back.
void World::restart(bool power_lost)
{
  end_process();
  const auto lose_power = [&]
  {
    files_.crash();
    disk_may_fail_ = false;
  };
  if (power_lost || files_.crashed())
    lose_power();
  // The machine may fail again while it comes back.
  for (int attempt = 0; !verdict_.first(); ++attempt)
  {
    verdict_.count(power_lost ? "start after a power failure" : "start after a stop");
    if (attempt < 3 && random_.one_in(4))
      files_.set_crash_after(random_.below(40));
    const bool started = boot();
    if (started && !files_.crashed())
      return;
    end_process();
    if (files_.crashed())
      lose_power();
    else if (!disk_may_fail_ || attempt > 4)
      return verdict_.wrong("the node cannot start: " + refusal_);
  }
}

/// A clean stop.
void World::stop()
{
  clients_.act();
  clients_.stop_pool();
  auto& order = node_->sequencer();
  order.stop();
  clients_.act();
  insider_.wait_for_some();
  const bool could_write = order.can_write();
  ++order_is_busy_; // and takes no step after this one
  order.run();
  insider_.check_served();
  check_answered();
  clients_.act();
  insider_.wait_for_some();
  --order_is_busy_;
  verdict_.count(could_write ? "stop" : "stop while broken");
  if (order.can_write())
    verdict_.wrong("a node that has stopped can write");
  if (could_write && !disk_may_fail_ && !encoding_failed_ && !files_.crashed() &&
      order.committed() != sealed().mark.txid)
    verdict_.wrong("a clean stop has not sealed how far was committed");
  restart(random_.one_in(2));
}

consensus::DurableState World::sealed()
{
  attestation::SealedFiles sealed(files_, platform_->sealing_key());
  return node::SealedState(files_, sealed, sealed_directory).load().value_or(consensus::DurableState{});
}

World::Copy World::copy()
{
  return {copy_of(files_, both_directories), model_, insider_.seen(), branch_};
}

void World::go_back(const std::vector<base::Path>& directories, const Copy& to)
{
  put_back(files_, directories, to.files);
  model_ = to.model;
  model_.forget_told();
  clients_.forget_ids();
  insider_.seen() = to.seen;
  invariants_.reset();
}

/// Whoever owns the disk puts an older copy back: of all, or of one of the two directories.
void World::put_disk_back()
{
  if (copies_.empty())
    return;
  end_process();
  files_.crash();
  disk_may_fail_ = false;
  const auto newest = copy();
  auto older = copies_[random_.below(copies_.size())];
  const bool same_branch = older.branch == branch_;
  const auto dice = same_branch ? random_.below(3) : 0;
  if (dice == 2) // the ledger stays
    older.model = newest.model, older.seen = newest.seen;
  go_back(dice == 0 ? both_directories : std::vector{dice == 1 ? ledger_directory : sealed_directory}, older);
  branch_ = ++last_branch_;
  constexpr std::string_view started[] = {
      "start from an older disk", "start from an older ledger", "start from an older sealed state"};
  constexpr std::string_view refused[] = {"", "older ledger refused", "older sealed state refused"};
  const bool starts = boot();
  verdict_.count((starts ? started : refused)[dice]);
  if (starts)
    return;
  if (dice == 0)
    return verdict_.wrong("the node does not start from an older copy of its whole disk: " + refusal_);
  end_process();
  if (dice == 1 && random_.one_in(2))
  {
    verdict_.count("loss accepted");
    if (!boot({.accept_loss = true}))
      verdict_.wrong("the node does not start although the loss is accepted: " + refusal_);
    return;
  }
  go_back(both_directories, newest);
  branch_ = newest.branch;
  if (!boot())
    verdict_.wrong("the node does not start from the newest copy of its disk: " + refusal_);
}

void World::check_ledger()
{
  insider_.check_served();
  insider_.read_feed();
  ledger::VerifyOptions options;
  options.strict = true;
  options.service_certificate_pem = service_certificate_;
  const auto report = ledger::verify_ledger(files_, {ledger_directory}, options);
  if (report.ok())
    return;
  for (const auto& finding : report.findings)
    if (!finding.is_note)
      verdict_.wrong("the ledger does not verify: " + finding.place + ": " + finding.text);
  verdict_.wrong("the ledger does not verify");
}
}
