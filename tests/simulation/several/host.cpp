#include "host.h"

#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace concordat::simulation
{
namespace
{
const base::Path ledger_directory = "ledger";
const base::Path sealed_directory = "sealed";
const base::Path sealing_key_file = "keys/sealing.key";
/// Entries that are looked at again when a process has come back.
constexpr Seqno looked_at_again = 10;
constexpr std::size_t most_jobs = 8;

std::string host_of(std::size_t number)
{
  return "127.0.0." + std::to_string(number + 1);
}

node::Configuration configuration_of(std::size_t number)
{
  namespace json = boost::json;
  json::object command{{"service_certificate_file", "keys/service.pem"}};
  if (number == 0)
  {
    command["type"] = "Start";
    command["start"] = json::object{{"members", {{{"certificate_file", "keys/member.pem"}}}}};
  }
  else
  {
    command["type"] = "Join";
    command["join"] = json::object{{"target_rpc_address", Host::address(0)}, {"retry_timeout", "300ms"}};
  }
  const json::object text{
      {"network",
       {{"node_to_node_interface", {{"bind_address", host_of(number) + ":8000"}}},
        {"rpc_interfaces", {{"main", {{"bind_address", Host::address(number)}}}}}}},
      {"command", command},
      {"ledger", {{"directory", ledger_directory}, {"chunk_size", "10KB"}}},
      {"concordat", {{"open_service", true}, {"sealed_directory", sealed_directory}}}};
  return node::parse_configuration(json::serialize(text)).value();
}
}

Host::Host(Around& around, std::size_t number, const Files& disk, std::uint64_t seed)
    : around_(around),
      number_(number),
      files_(seed),
      watched_(files_, ledger_directory, around.nonces),
      clock_(around.schedule),
      configuration_(configuration_of(number)),
      check_invariants_(around.random.one_in(2)),
      writes_aside_(!around.random.one_in(4)),
      disk_(thread(5'000)),
      aside_(thread(50'000))
{
  put_back(files_, directories(), disk);
  platform_ = attestation::VirtualPlatform::open(files_, sealing_key_file, Digest{}).value();
  files_.set_hook([this](std::string_view operation, const base::Path& path) { disk_works(operation, path); });
}

Host::~Host()
{
  end_process();
}

const std::vector<base::Path>& Host::directories()
{
  static const std::vector<base::Path> all = {"keys", ledger_directory, sealed_directory};
  return all;
}

std::string Host::address(std::size_t number)
{
  return host_of(number) + ":8001";
}

node::Identity Host::identity()
{
  attestation::SealedFiles sealed(files_, platform_->sealing_key());
  return node::SealedState(files_, sealed, sealed_directory).load_identity().value();
}

consensus::DurableState Host::sealed()
{
  attestation::SealedFiles sealed(files_, platform_->sealing_key());
  return node::SealedState(files_, sealed, sealed_directory).load().value_or(consensus::DurableState{});
}

void Host::disk_works(std::string_view operation, const base::Path& path)
{
  if (slowness_ != Time{0})
  {
    const Time time(around_.random.below(static_cast<std::uint64_t>(slowness_.count())));
    if (disk_.works())
      disk_.delay(time);
    else if (aside_.works())
      aside_.delay(time);
    else
      stall(held_up() + time);
  }
  if (operation == "truncate" && path.starts_with(ledger_directory) && node_)
    around_.verdict.count("log cut");
}

bool Host::start()
{
  if (node_ || starts_ || retired_)
    return false;
  starts_ = true;
  ended_ = false;
  give_up_ = false;
  const auto process = ++process_;
  refusal_.clear();
  busy_until_ = Time{0};
  if (check_invariants_ && !invariants_)
    invariants_ = std::make_unique<consensus::Invariants>();
  const auto mark = sealed().mark;
  node::Driven driven{*this};
  if (writes_aside_)
  {
    driven.disk = &disk_;
    driven.aside = &aside_;
  }
  driven.invariants = invariants_.get();
  driven.placed = [this](TxId txid) { placed(txid, false); };
  driven.placed_own = [this](TxId txid) { placed(txid, true); };
  driven.channel = [this](const peer::NodeId& self, const peer::Callbacks& callbacks)
  {
    id_ = self;
    return around_.network.connect(self, callbacks, [this] { return sends(); });
  };
  driven.seed = 1 + around_.random.below(1'000'000);
  // More than terms are opened in a row: a record names those that are in memory.
  driven.kept_entries = 10 + around_.random.below(20);
  driven.connect = around_.connect;
  driven.wait = [this](std::chrono::milliseconds time) { around_.wait(time); };
  node::StartOptions options;
  options.stop = &give_up_;
  auto started = node::Node::start_driven(
      configuration_,
      std::make_unique<PlannedApplication>(
          around_.plans, PlannedApplication::Events{[] {}, [this](std::size_t plan) { ending_ = plan; }}),
      watched_, clock_, *platform_, driven, options);
  starts_ = false;
  if (!started || files_.crashed())
  {
    refusal_ = started ? "the power failed" : started.error().describe();
    const bool power = files_.crashed();
    if (started)
      started->reset();
    end_process();
    if (!power && !disk_may_fail_ && !give_up_ && ++refusals_ > 20)
      around_.verdict.wrong("node " + std::to_string(number_) + " cannot start: " + refusal_);
    fall(power);
    return false;
  }
  refusals_ = 0;
  node_ = std::move(*started);
  around_.verdict.count("node started");
  auto& order = node_->sequencer();
  if (mark.txid != TxId{} && order.committed().seqno < mark.txid.seqno)
    around_.verdict.wrong("a node starts without " + mark.txid.to_string() + ", which was sealed as committed");
  const auto committed = order.committed().seqno;
  const auto from = std::min(committed - std::min(committed, looked_at_again), around_.history.last().seqno);
  seen_ = {0, from};
  led_ = 0;
  look();
  later(Time(around_.random.below(50'000)), [this] { tick(); });
  (void)process;
  return node_ != nullptr;
}

/// A message leaves: what it may tell of is looked at before.
std::optional<Time> Host::sends()
{
  if (ended_ || files_.crashed())
    return std::nullopt;
  if (node_)
    observe();
  return held_up();
}

void Host::end_process()
{
  ++process_;
  ended_ = true;
  give_up_ = true;
  tasks_.clear();
  jobs_.clear();
  disk_.stop();
  aside_.stop();
  node_.reset();
  ending_.reset();
  step_is_due_ = false;
}

void Host::kill()
{
  if (starts_)
  {
    give_up_ = true;
    return;
  }
  end_process();
}

void Host::lose_power()
{
  if (starts_)
  {
    files_.set_crash_after(0);
    give_up_ = true;
    return;
  }
  end_process();
  files_.crash();
  disk_may_fail_ = false;
}

void Host::fall(bool power)
{
  around_.verdict.count(power ? "power lost" : "process ended");
  power ? lose_power() : kill();
  // Whoever has not joined yet is started by who wants it to.
  if (starts_ || retired_ || id_.empty())
    return;
  const auto process = process_;
  const Time pause(around_.random.below(around_.random.one_in(3) ? 3'000'000 : 300'000));
  around_.schedule.in(
      pause,
      [this, process]
      {
        if (process == process_)
          start();
      });
}

void Host::retire()
{
  retired_ = true;
  kill();
}

void Host::inject_disk_fault()
{
  const auto kind = around_.random.one_in(2) ? base::DiskFault::no_space : base::DiskFault::sync_error;
  files_.fail_next(kind, around_.random.below(6));
  disk_may_fail_ = true;
}

void Host::put_disk_back(const Files& older)
{
  lose_power();
  put_back(files_, directories(), older);
  invariants_.reset();
  fall(true);
}

void Host::later(Time delay, std::function<void()> what)
{
  const auto number = ++last_task_;
  tasks_.emplace(number, std::move(what));
  around_.schedule.in(
      delay,
      [this, number]
      {
        auto task = tasks_.extract(number);
        if (!task.empty())
          task.mapped()();
      });
}

/// @param start  microseconds that a job waits at most
SimulatedThread Host::thread(std::uint64_t start)
{
  return {
      around_.schedule,
      [this](Time delay, std::function<void()> what)
      {
        later(
            delay,
            [this, what = std::move(what)]
            {
              what();
              look();
              step_soon();
            });
      },
      [this, start] { return Time(around_.random.below(start)); }};
}

Result<void> Host::submit(base::Job job)
{
  if (jobs_.size() >= most_jobs)
    return fail(ErrorCode::limit, "too many wait for a thread");
  const auto number = ++last_task_;
  jobs_.emplace(number, std::move(job));
  later(
      Time(around_.random.below(3'000)),
      [this, number]
      {
        auto taken = jobs_.extract(number);
        if (around_.random.one_in(20) && taken.mapped().refuse)
          taken.mapped().refuse(base::Refusal::late);
        else
          taken.mapped().run();
        step_soon();
      });
  return {};
}

void Host::tick()
{
  forget_plan();
  node_->look_after_nodes();
  if (auto* const forwarder = node_->forwarder())
    forwarder->look();
  later(Time(40'000 + around_.random.below(10'000)), [this] { tick(); });
  step();
}

void Host::step_soon()
{
  if (std::exchange(step_is_due_, true))
    return;
  later(
      std::max(held_up(), Time(around_.random.below(500))),
      [this]
      {
        step_is_due_ = false;
        step();
      });
}

void Host::step()
{
  if (!node_ || steps_)
    return;
  if (held_up() > Time{0})
    return step_soon();
  const auto done = [this] { return files_.operations() + disk_.submitted(); };
  const auto before = done();
  steps_ = true;
  try
  {
    node_->sequencer().step();
  }
  catch (const std::exception& thrown)
  {
    around_.verdict.wrong("the order of node " + std::to_string(number_) + " ends: " + thrown.what());
  }
  steps_ = false;
  look();
  if (node_ && done() != before)
    step_soon();
}

/// After anything that the process did.
void Host::look()
{
  if (files_.crashed())
    return fall(true);
  auto& order = node_->sequencer();
  if (order.is_broken())
  {
    around_.verdict.count("disk broken");
    // A clean disk must be read anew; what is not synced may be lost by the failure.
    return fall(around_.random.one_in(4));
  }
  observe();
}

void Host::observe()
{
  auto& order = node_->sequencer();
  const auto committed = order.committed();
  if (order.can_write() && order.view() != led_)
  {
    led_ = order.view();
    around_.history.led(led_, id_, committed);
  }
  if (committed == seen_)
    return;
  if (committed.seqno < seen_.seqno)
    around_.verdict.wrong("what is committed goes back to " + committed.to_string());
  for (auto seqno = seen_.seqno + 1; seqno <= committed.seqno; ++seqno)
  {
    const auto entry = order.read(seqno);
    if (!entry)
      return around_.verdict.wrong("what is committed cannot be read: " + entry.error().describe());
    around_.history.committed(seqno, *entry);
  }
  seen_ = committed;
  const auto state = node_->store().committed();
  if (state->txid() != committed)
    around_.verdict.wrong(
        "state " + state->txid().to_string() + " is shown while " + committed.to_string() + " is committed");
  around_.history.shown(state);
  around_.verdict.wrong_if(around_.nonces.wrong());
}

void Host::placed(TxId txid, bool own)
{
  // What it has seen by now is what it may go by.
  if (node_ && !is_dead())
    observe();
  const auto plan = own ? std::nullopt : std::exchange(ending_, std::nullopt);
  around_.history.placed(txid, plan);
}
}
