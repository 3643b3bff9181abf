#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "node/peer_link.h"
#include "node/tables.h"
#include "peer/test_network.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace concordat::node::test
{
/// A node that is nothing but its way to the others, and what has come over it.
struct LinkedNode
{
  struct Came
  {
    std::string message;
    std::vector<std::shared_ptr<const consensus::Batch>> batches;
  };

  peer::NodeId id() const
  {
    return keys.id();
  }
  std::vector<Came> received() const EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    return came;
  }
  std::size_t count() const
  {
    return received().size();
  }
  void forget() EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    came.clear();
  }
  void take(Came one) EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    came.push_back(std::move(one));
  }
  /// Whether that message has come; it is forgotten then.
  bool take_away(const std::string& message) EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    return std::erase_if(came, [&](const Came& one) { return one.message == message; }) != 0;
  }

  peer::test::TestNodeKeys keys;
  consensus::EngineId engine_id = 0;
  std::string bind = "127.0.0.1:0";
  mutable base::Mutex mutex;
  std::vector<Came> came GUARDED_BY(mutex);
  std::unique_ptr<PeerLink> link; ///< last: it calls back
};

/// Nodes of one service over real sockets; what their ledgers say is made by the test.
class LinkedNodes : public testing::Test
{
protected:
  void begin(consensus::EngineId count)
  {
    for (consensus::EngineId id = 1; id <= count; ++id)
      start(id);
    for (consensus::EngineId id = 1; id <= count; ++id)
      add(id);
    publish();
  }

  LinkedNode& node(consensus::EngineId id)
  {
    return *nodes_.at(id);
  }

  std::unique_ptr<PeerLink> fresh_link(consensus::EngineId id)
  {
    PeerLink::Options options;
    options.identity = node(id).keys.identity;
    options.service_keys = service.keys();
    options.bind_address = "127.0.0.1:0";
    options.tune = [](peer::Options& channel)
    {
      channel.tick = std::chrono::milliseconds(2);
      channel.seed = 1;
    };
    auto started = PeerLink::start(options, clock);
    EXPECT_TRUE(started) << started.error().describe();
    return started ? std::move(*started) : nullptr;
  }

  /// Listens, and takes what comes.
  void start(consensus::EngineId id)
  {
    std::signal(SIGPIPE, SIG_IGN);
    auto& made = nodes_[id];
    if (!made)
    {
      made = std::make_unique<LinkedNode>();
      service.endorse(made->keys);
      made->engine_id = id;
    }
    made->link = fresh_link(id);
    made->link->deliver_to([&node = *made](std::string message, auto batches)
                           { node.take({std::move(message), std::move(batches)}); });
  }

  // ---- what the tables say

  void add(consensus::EngineId id)
  {
    addresses_[id] = node(id).link->address();
    write({{std::string(tables::engine_ids), {{node(id).id(), std::to_string(id)}}}});
    write_record(id, "Trusted", false);
  }
  /// Who agrees, as of the last batch that says so.
  void set_voters(const std::vector<consensus::EngineId>& voters)
  {
    consensus::LogRecord record;
    record.index = 1;
    record.configuration.voters = voters;
    write({{std::string(consensus::LogRecord::table), {{std::string(ledger::single_key), record.to_json()}}}});
  }
  void set_status(consensus::EngineId id, const std::string& status, bool retired_committed = false)
  {
    write_record(id, status, retired_committed);
    publish();
  }
  void remove(consensus::EngineId id)
  {
    write({{std::string(tables::node_info), {{node(id).id(), std::nullopt}}}});
  }
  kv::Snapshot state() const
  {
    return std::make_shared<const kv::State>(state_);
  }
  void publish()
  {
    for (const auto& [id, one] : nodes_)
      if (one->link)
        one->link->set_state(state());
  }
  void publish_to(std::initializer_list<consensus::EngineId> nodes)
  {
    for (const auto id : nodes)
      node(id).link->set_state(state());
  }

  peer::test::TestService service;
  base::SystemClock clock;

private:
  void write_record(consensus::EngineId id, const std::string& status, bool retired_committed)
  {
    write(
        {{std::string(tables::node_info),
          {{node(id).id(), R"({"node_to_node_interface":{"published_address":")" + addresses_.at(id) +
                               R"("},"retired_committed":)" + (retired_committed ? "true" : "false") +
                               R"(,"status":")" + status + R"("})"}}}});
  }
  void write(const kv::WriteSet& writes)
  {
    state_.apply(writes, {2, state_.seqno() + 1});
  }

  kv::State state_;
  std::map<consensus::EngineId, std::string> addresses_;
  std::map<consensus::EngineId, std::unique_ptr<LinkedNode>> nodes_;
};
}
