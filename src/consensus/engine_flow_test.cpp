#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace concordat::consensus
{
namespace
{
/// Counts what was sent to one node, and keeps it.
struct Kept
{
  EngineId to = 0;
  std::vector<Message> messages;

  auto operator()()
  {
    return [this](Message message)
    {
      if (message.to == to)
        messages.push_back(std::move(message));
    };
  }
};

/// A leader of three whose messages to one follower stay on their way.
struct Flow : testing::Test
{
  EngineOptions options;
  std::unique_ptr<TestNetwork> network;
  TestNode* leader = nullptr;
  TestNode* slow = nullptr;
  TestNode* fast = nullptr;
  Kept kept;

  void make()
  {
    network = std::make_unique<TestNetwork>(3, 1, options);
    leader = network->await_leader();
    ASSERT_NE(leader, nullptr);
    network->run(3);
    for (const auto id : network->voters())
      if (id != leader->id)
        (slow == nullptr ? slow : fast) = &network->node(id);
    kept.to = slow->id;
  }

  void give(TestNode& to, const std::vector<Message>& messages)
  {
    for (const auto& message : messages)
      if (message.to == to.id)
      {
        ASSERT_TRUE(to.engine->step(message.bytes));
        network->drain(to);
      }
  }
};

TEST_F(Flow, SeveralBatchesAreUnderWayAtOnce)
{
  make();
  std::vector<Message> sent;
  for (std::uint64_t i = 1; i <= 10; ++i)
  {
    ASSERT_TRUE(leader->engine->propose(batch(i)));
    leader->drain([&](Message message) { sent.push_back(std::move(message)); });
  }
  EXPECT_EQ(sent.size(), 20U) << "none waits for the one before";
  const auto before = leader->committed.size();
  give(*fast, sent);
  network->deliver();
  EXPECT_EQ(leader->committed.size(), before + 10);
}

TEST_F(Flow, ASlowFollowerHoldsNobodyUpAndItsMessagesAreBounded)
{
  options.max_inflight_messages = 4;
  make();
  network->cut(slow->id);
  for (std::uint64_t i = 1; i <= 100; ++i)
  {
    ASSERT_TRUE(leader->engine->propose(batch(i)));
    std::vector<Message> to_fast;
    leader->drain(
        [&](Message message)
        {
          if (message.to == slow->id)
            kept.messages.push_back(std::move(message));
          else
            to_fast.push_back(std::move(message));
        });
    give(*fast, to_fast);
    network->deliver();
  }
  std::size_t with_entries = 0;
  for (const auto& message : kept.messages)
    with_entries += message.entries.empty() ? 0 : 1;
  EXPECT_EQ(with_entries, 4U);
  EXPECT_EQ(leader->committed.back().batch, batch(100));

  // Its answers open the window again.
  network->heal();
  give(*slow, kept.messages);
  network->run(3);
  EXPECT_EQ(slow->committed, leader->committed);
}

TEST_F(Flow, AFollowerWhoseWindowIsFullWhenTheLogForgetsGoesOnFromASnapshot)
{
  options.max_inflight_messages = 4;
  make();
  network->cut(slow->id);
  for (std::uint64_t i = 1; i <= 20; ++i)
    network->propose(*leader, i);
  leader->compact(15);
  network->heal();
  network->run(5);
  ASSERT_TRUE(leader->stranded.contains(slow->id));
  for (const auto& peer : leader->engine->progress())
    EXPECT_EQ(peer.stranded, peer.id == slow->id);

  network->install_snapshot(slow->id, *leader);
  network->run(3);
  network->propose(*leader, 21);
  network->run(2);
  EXPECT_EQ(slow->committed, leader->committed);
  for (const auto& peer : leader->engine->progress())
    EXPECT_FALSE(peer.stranded);
}

TEST_F(Flow, AMessageHoldsAsManyEntriesAsTheOptionsSay)
{
  options.max_message_entries = 8;
  make();
  network->cut(slow->id);
  for (std::uint64_t i = 1; i <= 100; ++i)
    network->propose(*leader, i);
  network->heal();
  std::size_t most = 0;
  for (int i = 0; i < 5; ++i)
  {
    leader->engine->tick();
    leader->drain(
        [&](Message message)
        {
          if (message.to == slow->id)
            kept.messages.push_back(std::move(message));
        });
    for (std::size_t next = 0; next < kept.messages.size(); ++next)
    {
      most = std::max(most, kept.messages[next].entries.size());
      ASSERT_TRUE(slow->engine->step(kept.messages[next].bytes));
      std::vector<Message> answers;
      slow->drain([&](Message message) { answers.push_back(std::move(message)); });
      for (const auto& answer : answers)
        if (answer.to == leader->id)
        {
          ASSERT_TRUE(leader->engine->step(answer.bytes));
          leader->drain(kept());
        }
    }
    kept.messages.clear();
  }
  EXPECT_EQ(most, 8U);
  EXPECT_EQ(slow->committed.size(), leader->committed.size());
}

TEST_F(Flow, BatchesBesideOneMessageAreBounded)
{
  options.max_message_batches = 1000;
  make();
  network->cut(slow->id);
  for (std::uint64_t i = 1; i <= 50; ++i)
  {
    auto large = batch(i);
    large.length = i % 10 == 0 ? 5000 : 300;
    ASSERT_TRUE(leader->engine->propose(large));
    network->drain(*leader);
    network->deliver();
  }
  network->largest_batches = 0;
  network->heal();
  network->run(20);
  EXPECT_EQ(slow->committed, leader->committed);
  EXPECT_EQ(network->largest_batches, 5000U) << "one that is larger than the bound travels alone";
}

TEST_F(Flow, WhatWaitsIsBounded)
{
  options.max_waiting = 10;
  make();
  network->cut(slow->id);
  network->cut(fast->id);
  for (std::uint64_t i = 1; i <= 10; ++i)
    ASSERT_TRUE(leader->engine->propose(batch(i)));
  EXPECT_EQ(leader->engine->propose(batch(11)).error().code, ErrorCode::limit);
  EXPECT_EQ(leader->engine->propose_change(batch(11), {{{4, Role::learner}}}).error().code, ErrorCode::limit);
  network->drain(*leader);
  network->heal();
  network->run(3);
  EXPECT_TRUE(leader->engine->propose(batch(11)));
}

TEST_F(Flow, ALeadersMessagesLeaveBeforeItsOwnDiskIsDone)
{
  make();
  const auto before = leader->committed.size();
  leader->slow_disk = true;
  ASSERT_TRUE(leader->engine->propose(batch(1)));
  network->drain(*leader);
  network->deliver();

  // The others have it on their disks: that is a majority. What is not on its own disk the leader does not apply.
  EXPECT_EQ(leader->engine->commit(), leader->log.last_index());
  EXPECT_EQ(leader->disk.last_index() + 1, leader->log.last_index());
  EXPECT_EQ(leader->committed.size(), before);
  leader->slow_disk = false;
  network->finish_writes(*leader);
  EXPECT_EQ(leader->committed.size(), before + 1);
}

TEST_F(Flow, WhatAFollowerHasNotWrittenItDoesNotAcknowledge)
{
  make();
  network->cut(slow->id);
  fast->slow_disk = true;
  ASSERT_TRUE(leader->engine->propose(batch(1)));
  network->drain(*leader);
  network->deliver();
  ASSERT_FALSE(fast->writes.empty());
  const auto last = leader->log.last_index();
  EXPECT_EQ(leader->engine->commit(), last - 1);
  network->finish_writes(*fast);
  network->deliver();
  EXPECT_EQ(leader->engine->commit(), last);
}

TEST_F(Flow, RoundsWrittenOneByOneAndThenAllTogetherCommitTheSame)
{
  TestNode node;
  node.id = 1;
  node.start({1}, 1);
  const auto early = [] { return true; };
  const auto never = [] { return false; };
  const auto nobody = [](const Message&) { FAIL(); };
  ASSERT_TRUE(node.engine->campaign());
  node.drain(nobody, never, early);
  for (std::uint64_t i = 1; i <= 5; ++i)
  {
    ASSERT_TRUE(node.engine->propose(batch(i)));
    node.drain(nobody, never, early);
    EXPECT_TRUE(node.committed.empty());
  }
  ASSERT_EQ(node.writes.size(), 6U);
  for (int i = 0; i < 3; ++i)
  {
    const auto write = node.writes.front();
    node.writes.pop_front();
    if (write.hard_state)
      node.hard_state = *write.hard_state;
    node.disk.append(write.entries);
    node.engine->persisted(write.number);
    node.drain(nobody, never, early);
  }
  EXPECT_EQ(node.committed.size(), 3U);
  EXPECT_DEATH(node.engine->persisted(1), "cannot be persisted now");
  node.finish_writes(nobody, never, never);
  EXPECT_EQ(node.committed.size(), 6U);
}

TEST_F(Flow, ANodeThatIsUnreachableIsProbedBeforeMoreIsSent)
{
  make();
  network->cut(slow->id);
  leader->engine->unreachable(slow->id);
  for (std::uint64_t i = 1; i <= 20; ++i)
  {
    ASSERT_TRUE(leader->engine->propose(batch(i)));
    leader->drain(kept());
  }
  EXPECT_EQ(kept.messages.size(), 1U);
  network->heal();
  network->run(5);
  EXPECT_EQ(slow->committed, leader->committed);
}
}
}
