#include "peer/network.h"

#include "base/check.h"
#include "base/log.h"

#include <utility>
#include <vector>

namespace concordat::peer
{
namespace
{
/// Of the epoll descriptor, the event and the timer of each thread.
constexpr std::uint64_t descriptors_per_thread = 3;

Result<void> check(const Options& options)
{
  if (options.versions.min == 0 || options.versions.min > options.versions.max)
    return fail(ErrorCode::invalid, "the versions of the protocol between nodes are no range");
  for (const auto& lane : options.lanes)
    // As much again as one message leaves room for what each costs beside its bytes.
    if (lane.message_limit == 0 || lane.queue_limit < lane.message_limit + 1024 || lane.received_limit == 0)
      return fail(ErrorCode::invalid, "what waits between nodes must have room for the largest message");
  return {};
}
}

Result<std::unique_ptr<Network>>
Network::start(const Options& options, const base::Clock& clock, const Callbacks& callbacks)
{
  CHECK(callbacks.on_message && callbacks.may_speak && callbacks.service_keys, "the owner of a channel answers it");
  if (auto checked = check(options); !checked)
    return std::unexpected(checked.error());
  const auto id = node_id_of(options.identity);
  if (!id)
    return std::unexpected(id.error());
  std::unique_ptr<Network> network(new Network(options, clock, callbacks, *id));
  if (auto set = network->set_identity(options.identity); !set)
    return std::unexpected(set.error());
  auto bound = network->door_.listen();
  if (!bound)
    return fail("the interface between nodes", bound.error());
  network->address_ = std::move(*bound);
  for (const auto& loop : network->loops_)
    loop->start();
  network->door_.start();
  return network;
}

Network::Network(const Options& options, const base::Clock& clock, const Callbacks& callbacks, NodeId id)
    : options_(options),
      callbacks_(callbacks),
      id_(std::move(id)),
      loops_{
          std::make_unique<LaneLoop>(Lane::urgent, options_, clock, callbacks_, refusals_),
          std::make_unique<LaneLoop>(Lane::bulk, options_, clock, callbacks_, refusals_)},
      door_(
          options_, clock, House{{id_, options_.versions}, callbacks_.service_keys, callbacks_.may_speak}, refusals_,
          Door::Events{
              [this](Greeted greeted)
              {
                auto& to = loop(greeted.lane);
                to.adopt(std::move(greeted));
              },
              [this](const std::shared_ptr<Caller>& caller, Greeted greeted) { connected(caller, std::move(greeted)); },
              [this](const std::shared_ptr<PeerState>& peer, Lane lane) { loop(lane).drop(peer); }})
{
}

Network::~Network()
{
  stop();
}

void Network::stop()
{
  if (std::exchange(stopped_, true))
    return;
  // The door first: it hands on to the lanes.
  door_.stop();
  for (const auto& loop : loops_)
    loop->stop();
}

void Network::connected(const std::shared_ptr<Caller>& caller, Greeted greeted)
{
  const auto lost = [this, weak = std::weak_ptr(caller)](std::chrono::steady_clock::duration lived)
  {
    door_.post(
        [weak, lived]
        {
          if (const auto alive = weak.lock())
            alive->lost(lived);
        });
  };
  loop(caller->lane()).adopt(caller->peer(), std::move(greeted), lost);
}

void Network::set_peers(const std::map<NodeId, std::string>& addresses)
{
  std::vector<std::pair<std::shared_ptr<PeerState>, std::string>> wanted;
  // Handed to the door under the lock, so that it sees changes in the order in which they are made.
  const base::LockGuard lock(mutex_);
  auto before = std::exchange(peers_, {});
  for (const auto& [node, address] : addresses)
  {
    if (node == id_)
      continue;
    if (!to_wire(node))
    {
      spdlog::warn("'{}' is no id of a node: it is not called", node);
      continue;
    }
    const auto found = before.find(node);
    auto peer = found != before.end() ? found->second : std::make_shared<PeerState>(node, options_);
    peers_.emplace(node, peer);
    wanted.emplace_back(std::move(peer), address);
  }
  door_.set_peers(std::move(wanted));
}

bool Network::send(const NodeId& to, Lane lane, std::uint16_t kind, Payload payload)
{
  std::shared_ptr<PeerState> peer;
  {
    const base::LockGuard lock(mutex_);
    const auto found = peers_.find(to);
    if (found == peers_.end())
      return false;
    peer = found->second;
  }
  auto& state = peer->lane(lane);
  SendQueue::Pushed pushed;
  if (payload.size() <= options_.lanes[static_cast<std::size_t>(lane)].message_limit)
    pushed = state.queue.push({kind, std::move(payload)});
  if (!pushed.taken)
    state.refused.fetch_add(1, std::memory_order_relaxed);
  state.dropped.fetch_add(pushed.dropped, std::memory_order_relaxed);
  if (pushed.wake)
    loop(lane).wake(to);
  return pushed.taken;
}

void Network::membership_changed()
{
  for (const auto& loop : loops_)
    loop->check_membership();
}

Result<void> Network::set_identity(const Identity& identity)
{
  const auto id = node_id_of(identity);
  if (!id)
    return std::unexpected(id.error());
  if (*id != id_)
    return fail(ErrorCode::invalid, "the certificate is for node " + *id + ", and this is node " + id_);
  auto context = make_context(identity);
  if (!context)
    return fail("cannot use the node's certificate between nodes", context.error());
  door_.set_context(std::move(*context));
  return {};
}

Metrics Network::metrics() const
{
  Metrics metrics;
  std::map<NodeId, std::shared_ptr<PeerState>> peers;
  {
    const base::LockGuard lock(mutex_);
    peers = peers_;
  }
  for (const auto& [node, peer] : peers)
    for (std::size_t lane = 0; lane < lane_count; ++lane)
    {
      const auto& state = peer->lanes[lane];
      metrics.to[node][lane] = {state.connected.load(), state.version.load(),      state.connections.load(),
                                state.queue.bytes(),    state.sent.load(),         state.dropped.load(),
                                state.refused.load(),   state.keys_renewed.load(), state.alive.load()};
    }
  for (std::size_t lane = 0; lane < lane_count; ++lane)
  {
    metrics.from[lane] = loops_[lane]->inbound();
    metrics.connections += loops_[lane]->connections();
  }
  metrics.refused = refusals_.counts();
  metrics.logged = refusals_.logged();
  metrics.waiting_handshakes = door_.waiting();
  return metrics;
}

std::uint64_t Network::most_descriptors(const Options& options, std::uint64_t nodes)
{
  const std::uint64_t threads = 1 + lane_count;
  const std::uint64_t ways = 2;
  // One that is being replaced beside each connection that there is.
  return 1 + threads * descriptors_per_thread + options.max_known_handshakes + options.max_strange_handshakes +
         nodes * lane_count * ways * 2;
}
}
