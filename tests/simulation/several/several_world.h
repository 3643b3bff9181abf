#pragma once

#include "host.h"
#include "joiner.h"
#include "users.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::simulation
{
/// A service of several nodes on machines whose disks, clocks and power fail, the network between them, and their
/// clients. Every decision comes from the seed.
class SeveralWorld
{
public:
  /// @param disks  of the machines, by number
  SeveralWorld(std::uint64_t seed, Verdict::Tally& tally, const std::string& member, const std::vector<Files>& disks);
  ~SeveralWorld();

  /// Lives through a random history.
  /// @param running  machines that are started at once; others may join
  /// @return what went wrong, if anything
  std::optional<std::string> run(std::size_t running);
  /// Equal for equal histories.
  std::uint64_t fingerprint();
  std::uint64_t steps() const;

  // For the beginning, which is made without faults.
  Host& host(std::size_t number)
  {
    return *hosts_[number];
  }
  void pass(Time time);
  /// Everybody who takes part has all that is committed.
  bool is_level();
  const std::optional<std::string>& wrong() const
  {
    return verdict_.first();
  }
  /// Nodes that wait are trusted from now on.
  void operate();

private:
  void arrange();
  void ask();
  void strike();
  void strike_host(Host& host);
  void cut_off();
  void slow_down(Host& host);
  void leave_behind();
  static bool is_only_voter(Host& host);
  void copy_disk(Host& host);
  void look_whether_recovered();
  void put_disk_back(Host& host, const std::shared_ptr<Files>& older);
  void change_time(Host& host);
  void switch_off(std::string_view node);
  void join_one();
  void retire_one();
  bool retire(Transaction& transaction, const peer::NodeId& node);
  void end_starts();
  void settle_down();
  void settle();
  void check_end();
  void describe();

  Host* any_running();
  Host* primary();
  Host* host_at(const std::string& url);

  Random random_;
  Schedule schedule_;
  Verdict verdict_;
  std::deque<Plan> plans_;
  History history_{plans_, verdict_};
  Nonces nonces_;
  Network network_;
  Around around_;
  std::vector<std::unique_ptr<Host>> hosts_;
  Users users_;
  bool trusts_disks_ = false; ///< so none is put back
  bool replaces_ = false;     ///< nodes that come may take the places of others
  bool recovers_ = false;     ///< somebody whose disk was put back
  bool quiet_ = false;        ///< nothing fails any more
  bool asks_ = true;
  bool joining_ = false;
};
}
