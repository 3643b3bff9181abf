#include "peer/test_raw_node.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace concordat::peer::test
{
namespace
{
/// What changes while nodes are connected.
class ChangeTest : public NetworkTest
{
};

TEST_F(ChangeTest, ANodeThatStartsAgainIsConnectedAgain)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  for (int i = 0; i < 3; ++i)
  {
    other.restart();
    ASSERT_TRUE(connect({&one, &other}));
    other.take_all();
    ASSERT_TRUE(eventually(
        [&]
        {
          one.send(other, Lane::urgent, "again");
          return other.count(one.id(), Lane::urgent) > 0;
        }));
  }
  EXPECT_GE(one.to(other.id(), Lane::urgent).connections, 4U);
}

TEST_F(ChangeTest, WhatWaitsIsSentWhenTheNodeIsBackAndNothingTwice)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  other.network->stop();
  ASSERT_TRUE(eventually([&] { return !one.to(other.id(), Lane::bulk).connected; }));
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(one.send(other, Lane::bulk, std::to_string(i)));
  other.restart();
  ASSERT_TRUE(connect({&one, &other}));
  ASSERT_TRUE(eventually([&] { return other.count(one.id(), Lane::bulk) == 100; }));
  const auto received = other.received(one.id(), Lane::bulk);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(received[i], std::to_string(i));
}

TEST_F(ChangeTest, NothingArrivesTwiceOrOutOfOrderHoweverConnectionsBreak)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  std::atomic<bool> done{false};
  std::thread breaker(
      [&]
      {
        while (!done)
        {
          // A change of address and back ends the connections wherever they are.
          one.network->set_peers({{other.id(), "127.0.0.1:1"}});
          one.network->set_peers({{other.id(), other.address()}});
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      });
  for (int i = 0; i < 300; ++i)
  {
    while (!one.send(other, Lane::bulk, std::to_string(i) + " " + std::string(200'000, 'x')))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    one.send(other, Lane::urgent, std::to_string(i) + " ");
  }
  done = true;
  breaker.join();
  ASSERT_TRUE(eventually([&] { return one.to(other.id(), Lane::bulk).waiting_bytes == 0; }));
  for (const auto lane : {Lane::urgent, Lane::bulk})
  {
    // What is sent on a connection that is about to end may be lost; not for ever.
    int next = 300;
    ASSERT_TRUE(eventually(
        [&]
        {
          one.send(other, lane, std::to_string(next++) + " ");
          const auto all = other.received(one.id(), lane);
          return !all.empty() && std::stoi(all.back()) >= 300;
        }));
    int last = -1;
    for (const auto& message : other.received(one.id(), lane))
    {
      const auto number = std::stoi(message);
      EXPECT_GT(number, last);
      last = number;
    }
  }
}

TEST_F(ChangeTest, ANodeMoves)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  other.network.reset();
  other.options.bind_address = "127.0.0.1:0";
  other.start();
  one.network->set_peers({{other.id(), other.address()}});
  EXPECT_TRUE(eventually([&] { return one.is_connected_to(other); }));
  EXPECT_TRUE(one.send(other, Lane::bulk, "here"));
  EXPECT_TRUE(eventually([&] { return other.count(one.id(), Lane::bulk) == 1; }));
}

TEST_F(ChangeTest, ANewAddressCountsWhileTheOldOneStillAnswers)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  const auto keys = other.keys();
  RawListener listener;
  one.network->set_peers({{other.id(), listener.address()}});
  EXPECT_TRUE(listener.welcome(keys, service, Lane::bulk));
  EXPECT_TRUE(eventually([&] { return !other.from(one.id(), Lane::bulk).connected; }));
}

TEST_F(ChangeTest, ARemovedNodeIsCutOffWhileConnected)
{
  TestNode one(setup());
  TestNode removed(setup());
  TestNode third(setup());
  ASSERT_TRUE(connect({&one, &removed, &third}));
  ledger->remove(removed.id());
  one.network->membership_changed();
  for (const auto lane : {Lane::urgent, Lane::bulk})
  {
    EXPECT_TRUE(eventually([&] { return !one.from(removed.id(), lane).connected; }));
    EXPECT_TRUE(one.from(third.id(), lane).connected);
  }
  one.take_all();
  // It calls again and again, and is refused each time, with one line in the log.
  EXPECT_TRUE(eventually([&] { return one.refused(Refusal::membership) > 10; }));
  removed.send(one, Lane::urgent, "I am still here");
  EXPECT_EQ(one.count(removed.id(), Lane::urgent), 0U);
  EXPECT_LE(one.network->metrics().logged, 2U);
  EXPECT_LE(removed.network->metrics().logged, 2U);

  ledger->add(removed.id());
  EXPECT_TRUE(eventually([&] { return removed.is_connected_to(one); }));
}

TEST_F(ChangeTest, WhoIsNotNamedAnyMoreIsNotSentTo)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  one.network->set_peers({});
  EXPECT_FALSE(one.send(other, Lane::urgent, "x"));
  EXPECT_TRUE(eventually(
      [&] { return !other.from(one.id(), Lane::urgent).connected && !other.from(one.id(), Lane::bulk).connected; }));
  EXPECT_TRUE(one.from(other.id(), Lane::urgent).connected) << "who may speak is another matter";
}

TEST_F(ChangeTest, ARenewedCertificateIsShownAndAnotherNodesIsRefused)
{
  auto pending = setup();
  pending.keys = TestService::self_signed_node();
  TestNode one(pending);
  TestNode other(setup());
  know_each_other({&one, &other});
  EXPECT_TRUE(eventually([&] { return other.refused(Refusal::certificate) > 2; }));
  EXPECT_FALSE(one.network->set_identity(service.node().identity));
  auto endorsed = one.keys();
  service.endorse(endorsed);
  ASSERT_TRUE(one.network->set_identity(endorsed.identity));
  EXPECT_TRUE(eventually([&] { return one.is_connected_to(other) && other.is_connected_to(one); }));
}

TEST_F(ChangeTest, ANodeThatCallsIsCalledBackWithoutWaiting)
{
  ManualClock clock; // which stands still: no second try comes by itself
  auto timed = setup();
  timed.clock = &clock;
  TestNode one(timed);
  TestNode other(setup());
  const auto address = other.address();
  other.options.bind_address = address;
  other.network.reset();
  one.network->set_peers({{other.id(), address}});
  ASSERT_TRUE(eventually([&] { return one.network->metrics().logged == 1; }));
  other.start();
  other.network->set_peers({{one.id(), one.address()}});
  EXPECT_TRUE(eventually([&] { return one.is_connected_to(other); }));
}

TEST_F(ChangeTest, StopsWhileBusy)
{
  for (int round = 0; round < 10; ++round)
  {
    const auto small = [](Options& options)
    {
      options.lanes[1].message_limit = 1 << 20;
      options.lanes[1].queue_limit = 2 << 20;
    };
    TestNode one(setup(), small);
    TestNode other(setup(), small);
    TestNode third(setup(), small);
    know_each_other({&one, &other, &third});
    std::atomic<bool> done{false};
    std::vector<std::thread> senders;
    for (auto* node : {&one, &other})
      senders.emplace_back(
          [&, node]
          {
            const std::string message(300'000, 'x');
            while (!done)
            {
              for (const auto* to : {&one, &other, &third})
              {
                node->send(*to, Lane::bulk, message);
                node->send(*to, Lane::urgent, "x");
              }
              node->network->membership_changed();
              (void)node->network->metrics();
            }
          });
    // At any moment from the first call to a full flood.
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 5));
    third.network->stop();
    one.network->stop();
    const auto received = one.network->metrics().from[0];
    other.network->stop();
    done = true;
    for (auto& sender : senders)
      sender.join();
    EXPECT_EQ(one.network->metrics().connections, 0U);
    const auto after = one.network->metrics().from[0];
    for (const auto& [node, inbound] : after)
      EXPECT_EQ(inbound.received, received.at(node).received) << "nothing is called any more";
  }
}

TEST_F(ChangeTest, WhatWasReceivedOutlivesTheChannel)
{
  auto holding = setup();
  holding.hold = true;
  auto one = std::make_unique<TestNode>(holding);
  TestNode other(setup());
  ASSERT_TRUE(connect({one.get(), &other}));
  other.send(*one, Lane::bulk, "kept");
  ASSERT_TRUE(eventually([&] { return one->count(other.id(), Lane::bulk) == 1; }));
  auto kept = one->take_all();
  one.reset();
  EXPECT_EQ(kept.front().bytes, "kept");
  kept.clear();
}
}
}
