#include "network.h"

#include "node/peer_message.h"

#include <utility>

namespace concordat::simulation
{
class Network::Channel : public peer::Channel
{
public:
  Channel(Network& network, peer::NodeId self, peer::Callbacks callbacks, std::function<std::optional<Time>()> held_up)
      : network_(network),
        self_(std::move(self)),
        callbacks_(std::move(callbacks)),
        held_up_(std::move(held_up))
  {
    network_.channels_[self_] = this;
  }
  ~Channel() override
  {
    if (const auto own = network_.channels_.find(self_); own->second == this)
      network_.channels_.erase(own);
  }

  void set_peers(const std::map<peer::NodeId, std::string>& addresses) override
  {
    addresses_ = addresses;
  }
  bool send(const peer::NodeId& to, peer::Lane lane, std::uint16_t kind, peer::Payload payload) override
  {
    if (!addresses_.contains(to))
      return false;
    peer::Received message{self_, lane, kind, {}, {}};
    message.bytes.reserve(payload.size());
    for (const auto piece : payload.pieces())
      message.bytes += piece;
    if (const auto wait = held_up_())
      network_.send(to, std::move(message), *wait);
    return true;
  }
  void membership_changed() override {}

  void take(peer::Received message)
  {
    if (callbacks_.may_speak(message.from))
      callbacks_.on_message(std::move(message));
  }

private:
  Network& network_;
  const peer::NodeId self_;
  const peer::Callbacks callbacks_;
  const std::function<std::optional<Time>()> held_up_;
  std::map<peer::NodeId, std::string> addresses_;
};

std::unique_ptr<peer::Channel> Network::connect(
    const peer::NodeId& self, const peer::Callbacks& callbacks, std::function<std::optional<Time>()> held_up)
{
  return std::make_unique<Channel>(*this, self, callbacks, std::move(held_up));
}

void Network::send(const peer::NodeId& to, peer::Received message, Time held_up)
{
  if (random_.below(1000) < weather_.lost)
    return verdict_.count("message lost");
  const bool twice = message.kind == static_cast<std::uint16_t>(node::PeerMessage::consensus) &&
                     random_.below(1000) < weather_.doubled;
  for (int copies = twice ? 2 : 1; copies > 0; --copies)
  {
    const bool late = random_.below(1000) < weather_.late;
    const auto most = late ? weather_.most_late : weather_.usual;
    const Time delay(1 + random_.below(static_cast<std::uint64_t>(most.count())));
    verdict_.count(copies == 2 ? "message doubled" : late ? "message late" : "message sent");
    auto copy = copies == 1 ? std::move(message) : message;
    schedule_.in(
        held_up + delay,
        [this, to, copy = std::make_shared<peer::Received>(std::move(copy))] { arrive(to, std::move(*copy)); });
  }
}

void Network::arrive(const peer::NodeId& to, peer::Received message)
{
  const auto cut = cut_.find({message.from, to});
  if (cut == cut_.end())
    return deliver(to, std::move(message));
  verdict_.count(cut->second ? "message held back" : "message cut off");
  if (cut->second)
    held_.emplace_back(to, std::move(message));
}

void Network::heal()
{
  cut_.clear();
  for (auto& [to, message] : std::exchange(held_, {}))
    schedule_.in(
        Time(random_.below(30'000)), [this, to = to, held = std::make_shared<peer::Received>(std::move(message))]
        { deliver(to, std::move(*held)); });
}

void Network::deliver(const peer::NodeId& to, peer::Received message)
{
  const auto found = channels_.find(to);
  if (found == channels_.end())
    return;
  ++arrived_;
  found->second->take(std::move(message));
  delivered_(to);
}
}
