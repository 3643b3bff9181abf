#pragma once

#include "attestation/virtual_platform.h"
#include "clients.h"
#include "consensus/invariants.h"
#include "insider.h"
#include "machine.h"
#include "model.h"
#include "node/node.h"
#include "plan.h"
#include "random.h"
#include "watched_files.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
inline const base::Path ledger_directory = "ledger";
inline const base::Path sealed_directory = "sealed";

/// One node without network and threads on a machine whose disk, clock and power fail, its clients, and the model that
/// they are held against. Every decision comes from the seed.
class World
{
public:
  World(std::uint64_t seed, Verdict::Tally& tally);
  ~World();

  /// Lives through a random history.
  /// @return what went wrong, if anything
  std::optional<std::string> run();
  /// Equal for equal histories.
  std::uint64_t fingerprint();

private:
  struct Copy
  {
    Files files;
    Model model;
    Insider::Seen seen;
    std::uint64_t branch;
  };

  void install();
  void act();
  void step();
  void check_answered();
  void try_to_repair();
  void break_and_repair();
  void inject_disk_fault();
  void meanwhile();
  void during_disk_operation();
  void at_once();
  void act_within();
  void placed(TxId txid);

  bool boot(node::StartOptions options = {});
  void check_start(const node::StartOptions& options, const consensus::Mark& mark);
  void restart(bool power_lost);
  void stop();
  void end_process();

  Copy copy();
  void go_back(const std::vector<base::Path>& directories, const Copy& to);
  void put_disk_back();
  void check_ledger();
  consensus::DurableState sealed();

  Random random_;
  const bool from_nothing_; ///< the service is created in this history, or was before it
  base::SimulatedFileSystem files_;
  SimulatedClock clock_;
  std::deque<Plan> plans_;
  Verdict verdict_;
  Model model_{plans_};
  std::unique_ptr<attestation::VirtualPlatform> platform_;
  Nonces nonces_;
  WatchedFiles watched_;
  Insider insider_;
  Clients clients_;
  node::Configuration configuration_;
  const bool check_invariants_; ///< the simulation must find faults without them too
  std::unique_ptr<consensus::Invariants> invariants_;
  std::string service_certificate_;
  bool founded_ = false;
  bool disk_may_fail_ = false; ///< a fault has been asked for since the power was lost last
  std::deque<Copy> copies_;
  std::uint64_t branch_ = 0;      ///< of the history: another one since the disk was put back
  std::uint64_t last_branch_ = 0; ///< given out

  // Of the running process; gone at a crash.
  std::unique_ptr<node::Node> node_;
  bool serving_ = false;
  bool encoding_failed_ = false; ///< so that the view ends
  unsigned depth_ = 0;           ///< of what goes on within what else goes on
  unsigned order_is_busy_ = 0;   ///< the thread of the order is in the middle of something
  std::optional<TxId> first_placed_;
  std::string refusal_; ///< why it did not start
};
}
