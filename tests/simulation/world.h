#pragma once

#include "model.h"

#include "attestation/sealed_file.h"
#include "base/clock.h"
#include "base/simulated_files.h"
#include "consensus/sequencer.h"
#include "node/identity.h"

#include <memory>
#include <optional>
#include <random>
#include <string>

namespace concordat::simulation
{
/// A clock that stands still until it is told to go on.
class SimulatedClock : public base::Clock
{
public:
  void advance(std::chrono::milliseconds time)
  {
    passed_ += time;
  }
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000) + passed_);
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(1) + passed_);
  }

private:
  std::chrono::milliseconds passed_{0};
};

/// The modules of one node from store to disk, without its network, and the model that they are held against.
/// Every decision comes from the seed.
class World
{
public:
  explicit World(std::uint64_t seed);
  ~World();

  /// Lives through a random history of writes, batches, disk faults and crashes.
  /// @return what went wrong, if anything
  std::optional<std::string> run();

private:
  std::optional<std::string> act();
  std::optional<std::string> boot();
  std::optional<std::string> power_loss();
  std::optional<std::string> found_service();
  std::optional<std::string> submit();
  std::optional<std::string> step();
  std::optional<std::string> check_served();
  std::optional<std::string> check_ledger();
  void inject_disk_fault();
  std::uint64_t below(std::uint64_t bound);
  void stop();

  std::mt19937_64 random_;
  base::SimulatedFileSystem files_;
  SimulatedClock clock_;
  std::string sealing_key_;
  Model model_;
  node::Identity identity_;
  std::string node_certificate_;
  std::string service_certificate_;
  bool founded_ = false;
  TxId served_; ///< the newest state that was ever served; may never go back
  std::optional<std::string> problem_;

  // Of the running process; gone at a crash.
  std::unique_ptr<attestation::SealedFiles> sealed_;
  std::unique_ptr<node::SealedState> sealed_state_;
  std::unique_ptr<kv::Store> store_;
  std::unique_ptr<consensus::Sequencer> sequencer_;
};

/// Makes everything random in OpenSSL follow from `seed`, keys and signatures included.
void seed_openssl(std::uint64_t seed);
}
