#pragma once

#include "base/simulated_files.h"
#include "consensus/replica.h"
#include "consensus/test_disk.h"
#include "ledger/entry.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace concordat::consensus
{
class ManualClock : public base::Clock
{
public:
  std::chrono::system_clock::time_point now() const override
  {
    return {};
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(passed);
  }
  std::chrono::milliseconds passed{1000};
};

inline const ledger::LedgerSecrets& secrets()
{
  static const ledger::LedgerSecrets made(ledger::LedgerSecret::generate());
  return made;
}

/// One node: replica, ledger on a disk of its own, and what has left it.
struct ReplicaNode : DurableStateFile, Outbox
{
  ReplicaNode(EngineId id, std::vector<EngineId> voters, const base::Clock& clock, bool with_disk = false) : files(id)
  {
    auto opened = ledger::ChunkFiles::open(files, "ledger", secrets());
    EXPECT_TRUE(opened);
    chunks = std::move(*opened);
    ledger.emplace(files, "ledger", secrets(), chunks, &invariants);
    invariants.started({}, 0);
    ReplicaOptions options;
    options.id = id;
    options.seed = id;
    options.kept_entries = 1'000;
    options.disk = with_disk ? &disk : nullptr;
    options.patience_ticks = 5;
    options.max_unstored_bytes = 2'000;
    RestoredLog log;
    log.configuration.voters = std::move(voters);
    replica.emplace(
        options, clock, *this, saved, *ledger, this, std::move(log), 0,
        Replica::Events{
            .committed = [this](const std::shared_ptr<const Batch>& batch)
            { committed.push_back(batch->signature_txid); },
            .lost = [this](const auto& batches) { lost += batches.size(); },
            .read = [this](std::uint64_t token, bool fresh) { reads.emplace_back(token, fresh); }},
        &invariants);
    EXPECT_TRUE(replica->start());
  }

  Result<void> save(const DurableState& state) override
  {
    if (save_fails)
    {
      ++refused_saves;
      return fail(ErrorCode::no_space, "no room");
    }
    saved = state;
    return {};
  }

  void send(Message message) override
  {
    // What others may count on must be sealed before: term, vote, and the ledger.
    EXPECT_GE(saved.term, Engine::inspect(message.bytes)->term - (replica->leads() ? 0 : 1));
    sent.push_back(std::move(message));
  }

  base::SimulatedFileSystem files;
  SlowDisk disk;
  std::shared_ptr<ledger::ChunkFiles> chunks;
  DurableState saved;
  bool save_fails = false;
  int refused_saves = 0;
  Invariants invariants;
  std::optional<LedgerWriter> ledger;
  std::optional<Replica> replica;
  std::deque<Message> sent;
  std::vector<TxId> committed;
  std::size_t lost = 0;
  std::vector<std::pair<std::uint64_t, bool>> reads;
};

/// A batch of `count` entries, written in `view` behind `last`.
inline std::shared_ptr<const Batch> make_batch(View view, Seqno last, int count = 2)
{
  std::string bytes;
  Descriptor descriptor{last + 1, last + static_cast<Seqno>(count), 0, {}};
  for (auto seqno = descriptor.first; seqno <= descriptor.last; ++seqno)
  {
    const auto entry = ledger::encode_entry(secrets().at(seqno), {view, seqno}, 0, {}, {}, "");
    bytes += entry.bytes;
    descriptor.digest = entry.leaf;
  }
  descriptor.length = bytes.size();
  auto batch = Batch::received(descriptor, bytes);
  EXPECT_TRUE(batch) << batch.error().describe();
  return *batch;
}

struct AloneTest : testing::Test
{
  ManualClock clock;
  ReplicaNode node{1, {1}, clock};
};

/// Three nodes; messages travel when `deliver` is called, between those that are not cut off.
struct ThreeTest : testing::Test
{
  void SetUp() override
  {
    for (EngineId id = 1; id <= 3; ++id)
      nodes.push_back(std::make_unique<ReplicaNode>(id, std::vector<EngineId>{1, 2, 3}, clock, with_disks));
    lead(1);
    ASSERT_TRUE(node(1).replica->leads());
  }

  ReplicaNode& node(EngineId id)
  {
    return *nodes[id - 1];
  }

  void lead(EngineId id)
  {
    for (int i = 0; i < 100 && !node(id).replica->leads(); ++i)
    {
      ASSERT_TRUE(node(id).replica->campaign());
      deliver();
      pass(1);
    }
  }

  void pass(int ticks)
  {
    for (int i = 0; i < ticks; ++i)
    {
      clock.passed += std::chrono::milliseconds(100);
      for (auto& one : nodes)
        ASSERT_TRUE(one->replica->tick());
      deliver();
    }
  }

  void deliver()
  {
    for (bool any = true; any;)
    {
      any = false;
      for (EngineId id = 1; id <= 3; ++id)
        any = store(id) || any;
      for (EngineId id = 1; id <= 3; ++id)
        while (!node(id).sent.empty())
        {
          any = true;
          const auto message = std::move(node(id).sent.front());
          node(id).sent.pop_front();
          if (!cut_off.contains(id) && !cut_off.contains(message.to))
            hand_over(message);
        }
    }
  }

  /// What waits for a disk that does not hang.
  bool store(EngineId id)
  {
    if (hung.contains(id) || !node(id).disk.work())
      return false;
    const auto stored = node(id).replica->take_stored();
    EXPECT_TRUE(stored) << stored.error().describe();
    return true;
  }

  void hand_over(const Message& message)
  {
    std::vector<std::shared_ptr<const Batch>> beside;
    for (const auto& entry : message.entries)
      if (entry.batch)
        beside.push_back(known.at(entry.batch->digest));
    const auto received = node(message.to).replica->receive(message.bytes, beside);
    EXPECT_TRUE(received) << received.error().describe();
  }

  Result<void> propose(EngineId id, const std::shared_ptr<const Batch>& batch)
  {
    known[batch->descriptor.digest] = batch;
    return node(id).replica->propose(batch);
  }

  ManualClock clock;
  std::vector<std::unique_ptr<ReplicaNode>> nodes;
  std::set<EngineId> cut_off;
  bool with_disks = false;
  std::set<EngineId> hung; ///< whose disk does nothing
  std::map<Digest, std::shared_ptr<const Batch>> known;
};
}
