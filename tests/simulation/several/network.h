#pragma once

#include "peer/options.h"
#include "schedule.h"
#include "simulation/random.h"
#include "simulation/verdict.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat::simulation
{
/// What becomes of messages, of a thousand each.
struct Weather
{
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0; ///< only messages of consensus: the channel brings others once at most
  std::uint64_t late = 0;    ///< by up to `most_late`
  Time usual{1'000};         ///< delays, up to
  Time most_late{400'000};
};

/// The network between nodes: loses, doubles and delays messages, and so has them overtake each other; cuts nodes off,
/// also in one direction only.
class Network
{
public:
  /// @param node  that has got a message
  using Delivered = std::function<void(const peer::NodeId& node)>;

  Network(Random& random, Schedule& schedule, Verdict& verdict, Delivered delivered)
      : random_(random),
        schedule_(schedule),
        verdict_(verdict),
        delivered_(std::move(delivered))
  {
  }

  /// The way of a process to the others.
  /// @param held_up  for how long its messages wait for its disk; nothing: they never leave
  std::unique_ptr<peer::Channel>
  connect(const peer::NodeId& self, const peer::Callbacks& callbacks, std::function<std::optional<Time>()> held_up);
  /// Nothing gets from one to the other, until it is healed.
  /// @param holds  what is on its way arrives afterwards
  void cut(const peer::NodeId& from, const peer::NodeId& to, bool holds)
  {
    cut_.emplace(std::pair(from, to), holds);
  }
  void heal();
  Weather& weather()
  {
    return weather_;
  }
  /// Messages that have arrived.
  std::uint64_t arrived() const
  {
    return arrived_;
  }

private:
  class Channel;

  void send(const peer::NodeId& to, peer::Received message, Time held_up);
  void arrive(const peer::NodeId& to, peer::Received message);
  void deliver(const peer::NodeId& to, peer::Received message);

  Random& random_;
  Schedule& schedule_;
  Verdict& verdict_;
  const Delivered delivered_;
  Weather weather_;
  std::map<peer::NodeId, Channel*> channels_;
  std::map<std::pair<peer::NodeId, peer::NodeId>, bool> cut_; ///< and whether it holds
  std::vector<std::pair<peer::NodeId, peer::Received>> held_; ///< by receiver
  std::uint64_t arrived_ = 0;
};
}
