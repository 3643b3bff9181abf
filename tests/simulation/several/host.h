#pragma once

#include "attestation/virtual_platform.h"
#include "base/worker_pool.h"
#include "consensus/invariants.h"
#include "history.h"
#include "network.h"
#include "node/node.h"
#include "schedule.h"
#include "simulated_thread.h"
#include "simulation/machine.h"
#include "simulation/plan.h"
#include "simulation/random.h"
#include "simulation/verdict.h"
#include "simulation/watched_files.h"

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// A clock that goes faster or slower than it should, and may show another time of day.
class SkewedClock : public base::Clock
{
public:
  explicit SkewedClock(const Schedule& schedule) : schedule_(schedule) {}

  /// @param percent  of the time that passes
  void set_rate(int percent)
  {
    base_ = passed();
    since_ = schedule_.now();
    percent_ = percent;
  }
  void set_offset(std::chrono::seconds offset)
  {
    offset_ = offset;
  }
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000) + offset_ + passed());
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(1) + passed());
  }

private:
  Time passed() const
  {
    return base_ + (schedule_.now() - since_) * percent_ / 100;
  }

  const Schedule& schedule_;
  Time base_{0};
  Time since_{0};
  int percent_ = 100;
  std::chrono::seconds offset_{0};
};

/// What all machines share.
struct Around
{
  Random& random;
  Schedule& schedule;
  Verdict& verdict;
  Network& network;
  History& history;
  Nonces& nonces;
  const std::deque<Plan>& plans;
  /// Of a node that joins; nested in whatever goes on.
  std::function<Result<std::unique_ptr<http::Client>>(http::ClientOptions)> connect;
  std::function<void(Time)> wait;
};

/// A machine: disk, clock and power, and the process of a node on it. After whatever the process does it is looked at.
class Host : private base::Executor
{
public:
  /// @param disk  what lies on it
  Host(Around& around, std::size_t number, const Files& disk, std::uint64_t seed);
  ~Host() override;

  static const std::vector<base::Path>& directories();
  /// host:port where clients are served.
  static std::string address(std::size_t number);

  std::size_t number() const
  {
    return number_;
  }
  /// Of the node, once it is known.
  const peer::NodeId& id() const
  {
    return id_;
  }
  bool runs() const
  {
    return node_ != nullptr;
  }
  /// @pre runs()
  node::Node& node()
  {
    return *node_;
  }
  bool is_primary() const
  {
    return node_ && node_->sequencer().can_write();
  }
  /// Of the process; another one is another process.
  std::uint64_t process() const
  {
    return process_;
  }
  /// A start goes on, which may take its time.
  bool starts() const
  {
    return starts_;
  }
  /// What it does now gets nowhere.
  bool is_dead() const
  {
    return !node_ || ended_ || files_.crashed();
  }

  /// @return false if the process ended again, for `refusal`
  bool start();
  const std::string& refusal() const
  {
    return refusal_;
  }
  /// The process is ended; what it has written but not synced is there still.
  void kill();
  void lose_power();
  /// The process ends, and comes back after a while. @param power  all of the machine
  void fall(bool power);
  /// Stays off from now on, whatever happens to it.
  void retire();
  bool is_retired() const
  {
    return retired_;
  }

  /// Has the process of now do something, unless it is gone by then.
  void later(Time delay, std::function<void()> what);
  /// The thread of the order looks for what there is to do.
  void step();
  void step_soon();
  /// Looks at what is committed: before whatever this node says of it counts. @pre runs()
  void observe();
  /// What the framework writes by itself comes from no plan.
  void forget_plan()
  {
    ending_.reset();
  }
  node::Identity identity();
  consensus::DurableState sealed();

  base::SimulatedFileSystem& files()
  {
    return files_;
  }
  SkewedClock& clock()
  {
    return clock_;
  }
  node::Configuration& configuration()
  {
    return configuration_;
  }
  /// Each operation of the disk takes up to so long.
  void set_slowness(Time most)
  {
    slowness_ = most;
  }
  /// The thread of the order does nothing for so long, and all others go on.
  void stall(Time time)
  {
    busy_until_ = std::max(busy_until_, around_.schedule.now() + time);
  }
  /// The thread that writes to the disk does nothing for so long, and all others go on.
  void hang_disk(Time time)
  {
    disk_.delay(time);
  }
  void inject_disk_fault();
  /// Whoever owns the disk puts an older copy back, while the power is off.
  void put_disk_back(const Files& older);

private:
  Result<void> submit(base::Job job) override;
  SimulatedThread thread(std::uint64_t start);
  void tick();
  void look();
  void placed(TxId txid, bool own);
  void disk_works(std::string_view operation, const base::Path& path);
  void end_process();
  std::optional<Time> sends();
  Time held_up() const
  {
    return std::max(Time{0}, busy_until_ - around_.schedule.now());
  }

  Around& around_;
  const std::size_t number_;
  base::SimulatedFileSystem files_;
  WatchedFiles watched_;
  SkewedClock clock_;
  std::unique_ptr<attestation::VirtualPlatform> platform_;
  node::Configuration configuration_;
  const bool check_invariants_;
  std::unique_ptr<consensus::Invariants> invariants_;
  peer::NodeId id_;
  Time slowness_{0};
  const bool writes_aside_;    ///< as nodes do outside of simulations; else the thread of the order writes
  bool disk_may_fail_ = false; ///< a fault has been asked for since the process was started
  bool retired_ = false;

  // Of the process.
  std::uint64_t process_ = 0;
  std::unique_ptr<node::Node> node_;
  std::atomic<bool> give_up_{false};
  bool ended_ = false; ///< what is left of it is being cleared away
  bool starts_ = false;
  bool steps_ = false;
  bool step_is_due_ = false;
  Time busy_until_{0};
  std::map<std::uint64_t, std::function<void()>> tasks_;
  std::map<std::uint64_t, base::Job> jobs_;
  std::uint64_t last_task_ = 0;
  SimulatedThread disk_;
  SimulatedThread aside_;
  std::optional<std::size_t> ending_; ///< the plan whose handler has just ended
  TxId seen_;
  View led_ = 0;
  std::string refusal_;
  unsigned refusals_ = 0; ///< one after the other
};
}
