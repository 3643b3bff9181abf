#include "several_world.h"

#include "ledger/entry.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace concordat::simulation
{
namespace
{
constexpr Time history_length{12'000'000};
constexpr Time longest_settling{40'000'000};
}

SeveralWorld::SeveralWorld(
    std::uint64_t seed, Verdict::Tally& tally, const std::string& member, const std::vector<Files>& disks)
    : random_(seed),
      verdict_(tally),
      nonces_(
          [this]() -> std::shared_ptr<const ledger::LedgerSecrets>
          {
            for (const auto& host : hosts_)
              if (host->runs())
                return host->identity().ledger_secrets;
            return nullptr;
          }),
      network_(
          random_, schedule_, verdict_,
          [this](const peer::NodeId& node)
          {
            for (const auto& host : hosts_)
              if (host->id() == node)
                host->step();
          }),
      around_{
          random_,
          schedule_,
          verdict_,
          network_,
          history_,
          nonces_,
          plans_,
          [this](http::ClientOptions options) -> Result<std::unique_ptr<http::Client>>
          {
            return std::make_unique<JoiningClient>(
                around_, std::move(options), [this](const std::string& url) { return host_at(url); });
          },
          [this](Time time)
          {
            pass(time);
            // Time passes no more: who waits to be let in would ask for ever.
            if (verdict_.first())
              end_starts();
          }},
      users_(around_, plans_, member, [this] { return any_running(); })
{
  seed_openssl(seed);
  for (std::size_t number = 0; number < disks.size(); ++number)
    hosts_.push_back(std::make_unique<Host>(around_, number, disks[number], seed * 16 + number));
}

SeveralWorld::~SeveralWorld() = default;

std::uint64_t SeveralWorld::steps() const
{
  auto steps = network_.arrived() + users_.sent();
  for (const auto& host : hosts_)
    steps += const_cast<Host&>(*host).files().operations();
  return steps;
}

std::uint64_t SeveralWorld::fingerprint()
{
  return steps() * 1'000'003 + random_.below(1'000'003);
}

void SeveralWorld::pass(Time time)
{
  const auto until = schedule_.now() + time;
  while (!verdict_.first() && schedule_.go_on(until))
  {
  }
}

Host* SeveralWorld::any_running()
{
  auto& host = *hosts_[random_.below(hosts_.size())];
  return host.runs() ? &host : nullptr;
}

Host* SeveralWorld::primary()
{
  for (const auto& host : hosts_)
    if (host->is_primary())
      return host.get();
  return nullptr;
}

Host* SeveralWorld::host_at(const std::string& url)
{
  for (const auto& host : hosts_)
    if (url == "https://" + Host::address(host->number()) && host->runs())
      return host.get();
  return nullptr;
}

/// What differs from history to history for good.
void SeveralWorld::arrange()
{
  auto& weather = network_.weather();
  weather.lost = random_.one_in(2) ? 0 : random_.below(60);
  weather.doubled = random_.one_in(2) ? 0 : random_.below(60);
  weather.late = random_.one_in(2) ? 0 : random_.below(60);
  weather.usual = Time(random_.one_in(2) ? 1'000 : 1 + random_.below(20'000));
  trusts_disks_ = random_.one_in(4);
  for (const auto& host : hosts_)
  {
    auto& limits = host->configuration().transactions;
    if (random_.one_in(2))
      limits.max_batch_count = 1 + random_.below(4);
    if (random_.one_in(4))
      limits.max_batch_size = 500 + random_.below(3000);
    host->configuration().chunk_size = 4000 + random_.below(20'000);
    host->configuration().trusted_disks = trusts_disks_;
  }
}

std::optional<std::string> SeveralWorld::run(std::size_t running)
{
  arrange();
  replaces_ = true;
  for (std::size_t number = 0; number < running; ++number)
    hosts_[number]->start();
  operate();
  ask();
  schedule_.in(Time(500'000), [this] { strike(); });
  schedule_.in(history_length, [this] { settle_down(); });
  pass(history_length);
  settle();
  check_end();
  if (verdict_.first())
    describe();
  return verdict_.first();
}

/// How it is in the end, for whoever looks for what went wrong.
void SeveralWorld::describe()
{
  spdlog::info("after {} µs {} is committed", schedule_.now().count(), history_.last().to_string());
  for (const auto& host : hosts_)
  {
    if (!host->runs())
    {
      spdlog::info("node {} does not run{}", host->number(), host->is_retired() ? ", as it has retired" : "");
      continue;
    }
    const auto& order = host->node().sequencer();
    const auto agreement = order.agreement();
    spdlog::info(
        "node {} ({}): number {}, view {}, committed {}, leader {}{}, {}", host->number(), host->id().substr(0, 4),
        agreement.self, order.view(), order.committed().to_string(), agreement.leader,
        host->is_primary() ? ", takes writes" : "", agreement.configuration.describe());
  }
}

void SeveralWorld::ask()
{
  if (!asks_)
    return;
  users_.act();
  schedule_.in(Time(random_.below(40'000)), [this] { ask(); });
}

/// The operator makes nodes trusted that wait for it, at the primary.
void SeveralWorld::operate()
{
  schedule_.in(Time(100'000 + random_.below(200'000)), [this] { operate(); });
  auto* const host = primary();
  if (!host)
    return;
  auto& store = host->node().store();
  kv::SnapshotTransaction state(store.committed(), kv::RunBy::node);
  for (const auto cursor = state.scan(node::tables::node_info); cursor->next();)
  {
    const auto record = node::node_record_of(state, cursor->key());
    if (record && node::string_member(*record, "status") == "Retired" && !node::takes_part(*record))
      switch_off(cursor->key());
    if (!record || node::string_member(*record, "status") != "Pending")
      continue;
    const auto identity = host->identity();
    const node::Certifier certifier{identity.service_key, *identity.ledger_secrets, host->clock().unix_seconds()};
    const auto transaction = store.begin_fresh(kv::RunBy::node);
    host->forget_plan();
    if (const auto done = node::trust_node(*transaction, cursor->key(), certifier, {}); done && *done)
    {
      // Often it is to take another one's place.
      auto* const replaced = replaces_ && !random_.one_in(3) ? any_running() : nullptr;
      if (replaced)
        retire(*transaction, replaced->id());
      (void)host->node().sequencer().submit(*transaction, {}, {});
    }
    return host->step_soon();
  }
}

/// A node that takes no part any more is ended, sooner or later.
void SeveralWorld::switch_off(std::string_view node)
{
  for (const auto& host : hosts_)
    if (host->id() == node && !host->is_retired() && random_.one_in(8))
    {
      verdict_.count("retired node switched off");
      host->retire();
    }
}

void SeveralWorld::strike()
{
  if (quiet_)
    return;
  schedule_.in(Time(50'000 + random_.below(700'000)), [this] { strike(); });
  look_whether_recovered();
  auto* const leads = primary();
  auto& host = leads && random_.one_in(3) ? *leads : *hosts_[random_.below(hosts_.size())];
  const auto dice = random_.below(100);
  if (dice < 30)
    cut_off();
  else if (dice < 40)
    network_.heal();
  else if (dice < 45)
    change_time(host);
  else if (dice < 50)
    join_one();
  else if (dice < 54)
    retire_one();
  else if (dice < 58)
    leave_behind();
  else if (dice < 64 && !trusts_disks_)
    copy_disk(host);
  else
    strike_host(host);
}

void SeveralWorld::strike_host(Host& host)
{
  if (!host.runs())
    return;
  const auto dice = random_.below(10);
  if (dice < 2)
    host.fall(true);
  else if (dice < 3)
    host.fall(false);
  else if (dice < 7)
    host.files().set_crash_after(random_.below(30));
  else if (dice < 9)
    host.inject_disk_fault();
  else
    slow_down(host);
}

void SeveralWorld::slow_down(Host& host)
{
  const Time pause(random_.below(3'000'000));
  const auto dice = random_.below(4);
  if (dice == 0)
  {
    verdict_.count("order stands still");
    host.stall(pause);
  }
  else if (dice == 1)
  {
    verdict_.count("disk hangs");
    host.hang_disk(pause);
  }
  else
    host.set_slowness(random_.one_in(2) ? Time{0} : Time(random_.below(60'000)));
}

/// A primary that is cut off, and does not notice for long.
void SeveralWorld::leave_behind()
{
  auto* const host = primary();
  if (!host)
    return;
  verdict_.count("primary left behind");
  host->clock().set_rate(10 + static_cast<int>(random_.below(40)));
  const bool holds = random_.one_in(2);
  for (const auto& other : hosts_)
    if (other->runs() && other.get() != host)
    {
      network_.cut(host->id(), other->id(), holds);
      network_.cut(other->id(), host->id(), holds);
    }
  schedule_.in(
      Time(1'000'000 + random_.below(2'000'000)),
      [this, host]
      {
        network_.heal();
        host->clock().set_rate(100);
      });
}

/// What such a one has on its disk nobody else need have, and from an older copy nobody can tell that there are others
/// now.
bool SeveralWorld::is_only_voter(Host& host)
{
  return host.node().sequencer().agreement().configuration.voters.size() < 2;
}

/// Whoever owns the disk keeps a copy, and puts it back later.
void SeveralWorld::copy_disk(Host& host)
{
  if (!host.runs() || is_only_voter(host))
    return;
  const auto copy = std::make_shared<Files>(copy_of(host.files(), Host::directories()));
  schedule_.in(Time(random_.below(2'000'000)), [this, &host, copy] { put_disk_back(host, copy); });
}

/// Nothing is left that only the node had whose disk was put back last.
void SeveralWorld::look_whether_recovered()
{
  if (is_level())
    recovers_ = false;
}

/// One node at a time, and not before all were level since the last one: what nobody else has on their disks is lost.
/// It may well be one of few that have what was committed last.
void SeveralWorld::put_disk_back(Host& host, const std::shared_ptr<Files>& older)
{
  if (quiet_ || host.starts() || host.is_retired())
    return;
  look_whether_recovered();
  if (recovers_ || !host.runs() || host.node().sequencer().committed() != history_.last() || is_only_voter(host))
    return schedule_.in(Time(50'000), [this, &host, older] { put_disk_back(host, older); });
  verdict_.count(is_level() ? "disk put back" : "disk put back while others lag");
  recovers_ = true;
  host.put_disk_back(*older);
}

/// One node, some of them, or one way between two.
void SeveralWorld::cut_off()
{
  if (random_.one_in(2))
    network_.heal();
  const auto side = 1 + random_.below((1U << hosts_.size()) - 2);
  const auto ways = random_.below(4); // 0: only out of the side; 1: only into it; else both
  const auto* const leads = primary();
  const bool one = random_.one_in(2);
  const bool holds = random_.one_in(2);
  const auto alone = leads && random_.one_in(2) ? leads->number() : random_.below(hosts_.size());
  const auto is_on_side = [&](const Host& host)
  { return one ? host.number() == alone : ((side >> host.number()) & 1U) != 0; };
  verdict_.count(ways < 2 ? "cut off one way" : "cut off");
  for (const auto& from : hosts_)
    for (const auto& to : hosts_)
      if (from->runs() && to->runs() && is_on_side(*from) != is_on_side(*to) &&
          (ways >= 2 || is_on_side(*from) == (ways == 0)))
        network_.cut(from->id(), to->id(), holds);
  schedule_.in(Time(200'000 + random_.below(2'500'000)), [this] { network_.heal(); });
}

void SeveralWorld::change_time(Host& host)
{
  verdict_.count("clock changed");
  host.clock().set_rate(static_cast<int>(random_.one_in(3) ? 100 : 50 + random_.below(150)));
  host.clock().set_offset(std::chrono::seconds(static_cast<int>(random_.below(600)) - 300));
}

void SeveralWorld::join_one()
{
  if (joining_)
    return;
  for (const auto& host : hosts_)
    if (!host->runs() && !host->starts() && !host->is_retired() && host->id().empty())
    {
      joining_ = true;
      verdict_.count("node joins");
      host->start();
      joining_ = false;
      return;
    }
}

void SeveralWorld::retire_one()
{
  auto* const host = primary();
  if (!host)
    return;
  const auto transaction = host->node().store().begin_fresh(kv::RunBy::node);
  host->forget_plan();
  if (retire(*transaction, hosts_[random_.below(hosts_.size())]->id()))
  {
    (void)host->node().sequencer().submit(*transaction, {}, {});
    host->step_soon();
  }
}

bool SeveralWorld::retire(Transaction& transaction, const peer::NodeId& node)
{
  const auto done = node.empty() ? Result<bool>(false) : node::retire_node(transaction, node);
  if (!done || !*done)
    return false;
  verdict_.count("node retires");
  return true;
}

bool SeveralWorld::is_level()
{
  auto* const host = primary();
  if (!host || host->node().sequencer().waiting() != 0)
    return false;
  const auto committed = host->node().sequencer().committed();
  if (committed != history_.last())
    return false;
  const auto agreement = host->node().sequencer().agreement();
  kv::SnapshotTransaction state(host->node().store().committed(), kv::RunBy::node);
  for (const auto& other : hosts_)
  {
    const auto id = other->id().empty() ? std::nullopt : node::engine_id_of(state, other->id());
    if (id && agreement.configuration.role(*id) != consensus::Role::none &&
        (!other->runs() || other->node().sequencer().committed() != committed))
      return false;
  }
  return true;
}

void SeveralWorld::end_starts()
{
  for (const auto& host : hosts_)
    if (host->starts())
      host->kill();
}

/// Everything works again, and who has not joined yet does so no more.
void SeveralWorld::settle_down()
{
  quiet_ = true;
  end_starts();
  asks_ = false;
  network_.heal();
  network_.weather() = {};
  for (const auto& host : hosts_)
  {
    host->set_slowness(Time{0});
    host->clock().set_rate(100);
  }
}

/// Everybody comes to agree.
void SeveralWorld::settle()
{
  const auto until = schedule_.now() + longest_settling;
  while (!verdict_.first() && schedule_.now() < until)
  {
    pass(Time(100'000));
    if (is_level())
      return;
  }
  if (!verdict_.first())
    verdict_.wrong("not everybody is level in the end");
}

void SeveralWorld::check_end()
{
  for (const auto& host : hosts_)
  {
    if (verdict_.first() || !host->runs())
      continue;
    const auto mark = host->sealed().mark;
    if (mark.txid != TxId{} && history_.root_at(mark.txid) != mark.root)
      verdict_.wrong("node " + std::to_string(host->number()) + " has sealed another root than all agree on");
  }
}
}
