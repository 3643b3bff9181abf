#include "peer/test_raw_node.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace concordat::peer::test
{
namespace
{
/// Members that do not behave, or are slow, and what that costs others.
class MembersTest : public NetworkTest
{
};

TEST_F(MembersTest, FramesThatAreNoneEndTheConnection)
{
  TestNode node(setup());
  const auto keys = member();
  const std::vector<std::string> all = {
      std::string("\x03\x00\x00\x00\x00", 5), // of no type
      std::string("\x02\xff\xff\xff\xff", 5), // larger than a frame
      std::string(
          "\x01\x0b\x00\x00\x00\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff"
          "x",
          16),                                  // of a message beyond all bounds
      std::string("\x02\x01\x00\x00\x00x", 6)}; // without beginning
  for (const auto& bytes : all)
  {
    RawNode raw(node.address());
    ASSERT_TRUE(raw.enter(keys, node.id(), service));
    raw.send(bytes);
    EXPECT_TRUE(raw.is_closed());
  }
  EXPECT_EQ(node.refused(Refusal::frames), all.size());
  EXPECT_EQ(node.network->metrics().logged, all.size()) << "each had been welcome before";
}

TEST_F(MembersTest, AMessageAboveTheLimitOfItsLaneEndsTheConnection)
{
  TestNode node(setup(), [](Options& options) { options.lanes[0].message_limit = 1'000; });
  const auto keys = member();
  RawNode raw(node.address());
  ASSERT_TRUE(raw.enter(keys, node.id(), service));
  ASSERT_TRUE(raw.send_message(1, std::string(1'000, 'x')));
  ASSERT_TRUE(eventually([&] { return node.count(keys.id(), Lane::urgent) == 1; }));
  raw.send_message(1, std::string(1'001, 'x'));
  EXPECT_TRUE(raw.is_closed());
  EXPECT_EQ(node.count(keys.id(), Lane::urgent), 1U);
}

TEST_F(MembersTest, MessagesComeWholeHoweverSlowlyTheyDrip)
{
  TestNode node(setup());
  const auto keys = member();
  RawNode raw(node.address());
  ASSERT_TRUE(raw.enter(keys, node.id(), service, Lane::bulk));
  Cutter cutter(3, Payload("dripping"));
  std::string frame;
  cutter.append_to(frame);
  for (const char byte : frame)
  {
    EXPECT_EQ(node.count(keys.id(), Lane::bulk), 0U);
    ASSERT_TRUE(raw.send({&byte, 1}));
  }
  ASSERT_TRUE(eventually([&] { return node.count(keys.id(), Lane::bulk) == 1; }));
  EXPECT_EQ(node.received(keys.id(), Lane::bulk).front(), "dripping");
}

TEST_F(MembersTest, WhoIsSilentIsGivenUpAndWhoSaysThatTheyLiveIsNot)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed);
  const auto keys = member();
  const auto other = member();
  RawNode silent(node.address());
  RawNode alive(node.address());
  ASSERT_TRUE(silent.enter(keys, node.id(), service));
  ASSERT_TRUE(alive.enter(other, node.id(), service));
  ASSERT_TRUE(eventually([&] { return node.network->metrics().connections == 2; }));
  for (std::uint64_t i = 1; i <= 6; ++i)
  {
    clock.advance(std::chrono::milliseconds(1'900));
    // The message tells the test that all before it was heard too.
    ASSERT_TRUE(alive.send(alive_frame()));
    ASSERT_TRUE(alive.send_message(1, ""));
    ASSERT_TRUE(eventually([&] { return node.count(other.id(), Lane::urgent) == i; }));
  }
  EXPECT_TRUE(silent.is_closed());
  EXPECT_EQ(node.refused(Refusal::time), 1U);
  EXPECT_TRUE(node.from(other.id(), Lane::urgent).connected);
}

TEST_F(MembersTest, NodesWithNothingToSayStayConnected)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  auto timed_too = setup();
  timed_too.clock = &clock;
  TestNode one(timed);
  TestNode other(timed_too);
  ASSERT_TRUE(connect({&one, &other}));
  for (int i = 0; i < 100; ++i)
  {
    const auto said = [&]
    {
      return std::vector{
          one.to(other.id(), Lane::urgent).alive, one.to(other.id(), Lane::bulk).alive,
          other.to(one.id(), Lane::urgent).alive, other.to(one.id(), Lane::bulk).alive};
    };
    const auto before = said();
    clock.advance(std::chrono::milliseconds(1'000));
    ASSERT_TRUE(eventually(
        [&]
        {
          const auto now = said();
          return std::equal(now.begin(), now.end(), before.begin(), std::greater<>());
        }));
  }
  EXPECT_EQ(one.network->metrics().connections, 4U);
  EXPECT_EQ(one.to(other.id(), Lane::bulk).connections, 1U);
  EXPECT_EQ(one.refused(Refusal::time) + other.refused(Refusal::time), 0U);
}

TEST_F(MembersTest, WhoConnectsAgainTakesThePlaceOfTheirOldConnection)
{
  TestNode node(setup());
  const auto keys = member();
  RawNode half_open(node.address());
  ASSERT_TRUE(half_open.enter(keys, node.id(), service));
  Cutter cutter(1, Payload(std::string(100'000, 'x')));
  std::string half;
  cutter.append_to(half);
  ASSERT_TRUE(half_open.send(half));
  RawNode again(node.address());
  ASSERT_TRUE(again.enter(keys, node.id(), service));
  EXPECT_TRUE(half_open.is_closed());
  ASSERT_TRUE(again.send_message(1, "whole"));
  ASSERT_TRUE(eventually([&] { return node.count(keys.id(), Lane::urgent) == 1; }));
  EXPECT_EQ(node.received(keys.id(), Lane::urgent).front(), "whole");
  EXPECT_EQ(node.network->metrics().connections, 1U);
}

TEST_F(MembersTest, WhoFloodsKeepsNobodyElseWaiting)
{
  TestNode node(setup());
  TestNode quiet(setup());
  ASSERT_TRUE(connect({&node, &quiet}));
  const auto keys = member();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> flooded{0};
  std::vector<std::thread> floods;
  for (const auto lane : {Lane::urgent, Lane::bulk})
    floods.emplace_back(
        [&, lane]
        {
          RawNode raw(node.address());
          EXPECT_TRUE(raw.enter(keys, node.id(), service, lane));
          const std::string message(100'000, 'x');
          while (!stop && raw.send_message(1, message))
            ++flooded;
        });
  // The flood ends only after the others have been heard, so this would wait for ever if it came first.
  for (std::uint64_t i = 1; i <= 20; ++i)
  {
    const auto before = flooded.load();
    ASSERT_TRUE(eventually(
        [&]
        {
          node.take_all();
          return flooded > before + 5;
        }));
    const auto heard = node.from(quiet.id(), Lane::urgent).received;
    EXPECT_TRUE(quiet.send(node, Lane::urgent, "heartbeat"));
    EXPECT_TRUE(eventually([&] { return node.from(quiet.id(), Lane::urgent).received == heard + 1; }));
  }
  stop = true;
  // Whoever is being read from takes what the flood still sends.
  for (auto& flood : floods)
    flood.join();
}

TEST_F(MembersTest, WhoSendsMoreThanIsTakenIsNotReadFromAndOthersAre)
{
  auto holding = setup();
  holding.hold = true;
  TestNode node(holding, [](Options& options) { options.lanes[1].received_limit = 1 << 20; });
  TestNode sender(
      setup(),
      [](Options& options)
      {
        options.lanes[1].message_limit = 1 << 20;
        options.lanes[1].queue_limit = 4 << 20;
      });
  TestNode other(setup());
  ASSERT_TRUE(connect({&node, &sender, &other}));
  const std::string message(100'000, 'x');
  int sent = 0;
  while (sender.send(node, Lane::bulk, message))
    ++sent;
  // What is held stays within its bound and a little, whatever waits before it.
  ASSERT_TRUE(eventually([&] { return node.from(sender.id(), Lane::bulk).held >= 1 << 20; }));
  EXPECT_TRUE(other.send(node, Lane::bulk, "from another"));
  EXPECT_TRUE(sender.send(node, Lane::urgent, "in another lane"));
  EXPECT_TRUE(eventually([&] { return node.count(other.id(), Lane::bulk) == 1; }));
  EXPECT_TRUE(eventually([&] { return node.count(sender.id(), Lane::urgent) == 1; }));
  EXPECT_LE(node.from(sender.id(), Lane::bulk).held, (1 << 20) + 2 * message.size());
  EXPECT_GE(sender.to(node.id(), Lane::bulk).refused, 1U);

  // Whoever lets go gets the rest, and all of it.
  std::size_t got = 0;
  EXPECT_TRUE(eventually(
      [&]
      {
        for (const auto& one : node.take_all())
          got += one.bytes.size() == message.size() ? 1 : 0;
        return got == static_cast<std::size_t>(sent);
      }));
}

TEST_F(MembersTest, ASlowReaderCostsBoundedMemoryAndDelaysNobody)
{
  ManualClock clock; // it is not given up meanwhile
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(
      timed,
      [](Options& options)
      {
        for (auto& lane : options.lanes)
          lane.unacknowledged_limit = std::chrono::minutes(10); // the system has a clock of its own
        options.lanes[0].queue_limit = (1 << 20) + 4'096;
        options.lanes[1].message_limit = 1 << 20;
        options.lanes[1].queue_limit = 8 << 20;
      });
  TestNode other(setup());
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}, {other.id(), other.address()}});
  // Time has to go on for another try, because one lane's connection is dropped while the other's is waited for.
  std::atomic<bool> done{false};
  std::thread time(
      [&]
      {
        while (!done)
        {
          clock.advance(std::chrono::milliseconds(20));
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      });
  const auto bulk = listener.welcome(keys, service, Lane::bulk);
  const auto urgent = listener.welcome(keys, service, Lane::urgent);
  done = true;
  time.join();
  ASSERT_TRUE(bulk && urgent);
  ASSERT_TRUE(eventually(
      [&] { return node.to(keys.id(), Lane::bulk).connected && node.to(keys.id(), Lane::urgent).connected; }));

  // Nobody reads: the buffers of the system fill, then the queue, and then no more is taken.
  const std::string message(1 << 20, 'x');
  ASSERT_TRUE(eventually(
      [&]
      {
        node.network->send(keys.id(), Lane::bulk, 1, Payload(message));
        EXPECT_LE(node.to(keys.id(), Lane::bulk).waiting_bytes, 8U << 20);
        return node.to(keys.id(), Lane::bulk).refused > 50;
      }));
  // In the urgent lane the oldest go.
  ASSERT_TRUE(eventually(
      [&]
      {
        EXPECT_TRUE(node.network->send(keys.id(), Lane::urgent, 1, Payload(std::string(100'000, 'x'))));
        return node.to(keys.id(), Lane::urgent).dropped > 10;
      }));
  EXPECT_LE(node.to(keys.id(), Lane::urgent).waiting_bytes, (1U << 20) + 4'096);
  ASSERT_TRUE(eventually([&] { return node.is_connected_to(other); }));
  for (const auto lane : {Lane::urgent, Lane::bulk})
  {
    EXPECT_TRUE(node.send(other, lane, "past them"));
    EXPECT_TRUE(eventually([&] { return other.count(node.id(), lane) == 1; }));
  }

  // After some time it is given up.
  EXPECT_EQ(node.refused(Refusal::time), 0U);
  EXPECT_TRUE(eventually(
      [&]
      {
        clock.advance(std::chrono::milliseconds(50));
        return !node.to(keys.id(), Lane::bulk).connected && !node.to(keys.id(), Lane::urgent).connected;
      }));
  EXPECT_GE(node.refused(Refusal::time), 2U);
}
}
}
