#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "peer/network.h"
#include "peer/test_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace concordat::peer::test
{
/// Waits for what other threads bring about; a test that fails waits in vain for a long time.
inline bool eventually(const std::function<bool()>& holds)
{
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds())
  {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// A clock that the test moves.
class ManualClock : public base::Clock
{
public:
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(second_of_2026));
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(milliseconds_.load()));
  }
  void advance(std::chrono::milliseconds time)
  {
    milliseconds_ += time.count();
  }

private:
  std::atomic<std::int64_t> milliseconds_{1'000'000};
};

/// What the tables of a ledger would say, the same to all nodes.
class Ledger
{
public:
  void add(const NodeId& node) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    nodes_.insert(node);
  }
  void remove(const NodeId& node) EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    nodes_.erase(node);
  }
  bool has(const NodeId& node) const EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    return nodes_.contains(node);
  }

private:
  mutable base::Mutex mutex_;
  std::set<NodeId> nodes_ GUARDED_BY(mutex_);
};

/// A node with nothing but a channel, and what has come over it.
class TestNode
{
public:
  struct Setup
  {
    TestNodeKeys keys;
    std::vector<crypto::PublicKey> service_keys;
    std::shared_ptr<Ledger> ledger;
    const base::Clock* clock = nullptr; ///< null: that of the machine
    bool hold = false;                  ///< keeps messages with their accounts
  };

  explicit TestNode(Setup setup, const std::function<void(Options&)>& change = {}) : setup_(std::move(setup))
  {
    std::signal(SIGPIPE, SIG_IGN);
    setup_.ledger->add(id());
    options.bind_address = "127.0.0.1:0";
    options.identity = setup_.keys.identity;
    options.tick = std::chrono::milliseconds(2);
    options.seed = 1;
    if (change)
      change(options);
    start();
  }

  ~TestNode()
  {
    network.reset(); // before what it calls back
  }
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  void start()
  {
    Callbacks callbacks;
    callbacks.on_message = [this](Received message) { take(std::move(message)); };
    callbacks.may_speak = [ledger = setup_.ledger](const NodeId& node) { return ledger->has(node); };
    callbacks.service_keys = [keys = setup_.service_keys] { return keys; };
    auto started = Network::start(options, setup_.clock != nullptr ? *setup_.clock : machine_, callbacks);
    ASSERT_TRUE(started.has_value()) << started.error().describe();
    network = std::move(*started);
  }
  /// Ends the channel and begins anew at the same address, as a process would that starts again.
  void restart()
  {
    options.bind_address = network->address();
    network.reset();
    start();
  }

  NodeId id() const
  {
    return setup_.keys.id();
  }
  const TestNodeKeys& keys() const
  {
    return setup_.keys;
  }
  std::string address() const
  {
    return network->address();
  }
  bool send(const TestNode& to, Lane lane, std::string bytes, std::uint16_t kind = 7)
  {
    return network->send(to.id(), lane, kind, Payload(std::move(bytes)));
  }
  Metrics::ToNode to(const NodeId& node, Lane lane) const
  {
    const auto metrics = network->metrics();
    const auto found = metrics.to.find(node);
    return found != metrics.to.end() ? found->second[static_cast<std::size_t>(lane)] : Metrics::ToNode();
  }
  LaneLoop::Inbound from(const NodeId& node, Lane lane) const
  {
    const auto metrics = network->metrics();
    const auto& all = metrics.from[static_cast<std::size_t>(lane)];
    const auto found = all.find(node);
    return found != all.end() ? found->second : LaneLoop::Inbound();
  }
  bool is_connected_to(const TestNode& node) const
  {
    return to(node.id(), Lane::urgent).connected && to(node.id(), Lane::bulk).connected;
  }
  std::uint64_t refused(Refusal reason) const
  {
    return network->metrics().refused_for(reason);
  }

  /// What came from a node in a lane, in order.
  std::vector<std::string> received(const NodeId& from, Lane lane) const EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    std::vector<std::string> found;
    for (const auto& message : messages_)
      if (message.from == from && message.lane == lane)
        found.push_back(message.bytes);
    return found;
  }
  std::size_t count(const NodeId& from, Lane lane) const
  {
    return received(from, lane).size();
  }
  std::vector<Received> take_all() EXCLUDES(mutex_)
  {
    const base::LockGuard lock(mutex_);
    return std::exchange(messages_, {});
  }

  Options options;
  std::unique_ptr<Network> network;

private:
  void take(Received message) EXCLUDES(mutex_)
  {
    if (!setup_.hold)
      message.account.reset();
    const base::LockGuard lock(mutex_);
    messages_.push_back(std::move(message));
  }

  const Setup setup_;
  base::SystemClock machine_;
  mutable base::Mutex mutex_;
  std::vector<Received> messages_ GUARDED_BY(mutex_);
};

inline void know_each_other(const std::vector<TestNode*>& nodes)
{
  std::map<NodeId, std::string> addresses;
  for (const auto* node : nodes)
    addresses[node->id()] = node->address();
  for (const auto* node : nodes)
    node->network->set_peers(addresses);
}

/// Nodes of one service that know each other.
class NetworkTest : public testing::Test
{
protected:
  TestNode::Setup setup() const
  {
    return {service.node(), service.keys(), ledger};
  }
  /// The keys of a node that may speak.
  TestNodeKeys member()
  {
    auto keys = service.node();
    ledger->add(keys.id());
    return keys;
  }
  /// @return whether all are connected to all
  static bool connect(const std::vector<TestNode*>& nodes)
  {
    know_each_other(nodes);
    return eventually(
        [&]
        {
          for (const auto* one : nodes)
            for (const auto* other : nodes)
              if (one != other && !one->is_connected_to(*other))
                return false;
          return true;
        });
  }

  TestService service;
  std::shared_ptr<Ledger> ledger = std::make_shared<Ledger>();
};
}
