#include "peer/test_network.h"

#include <string>
#include <thread>
#include <vector>

namespace concordat::peer::test
{
namespace
{
TEST_F(NetworkTest, MessagesArriveWholeAndInOrderInEachLane)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  std::vector<std::string> sent;
  for (int i = 0; i < 500; ++i)
  {
    sent.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i) * 7 % 5'000, 'x'));
    EXPECT_TRUE(one.send(other, Lane::bulk, sent.back()));
    EXPECT_TRUE(one.send(other, Lane::urgent, std::to_string(i)));
    EXPECT_TRUE(other.send(one, Lane::bulk, std::to_string(i)));
  }
  ASSERT_TRUE(eventually([&] { return other.count(one.id(), Lane::bulk) == 500; }));
  ASSERT_TRUE(eventually([&] { return other.count(one.id(), Lane::urgent) == 500; }));
  ASSERT_TRUE(eventually([&] { return one.count(other.id(), Lane::bulk) == 500; }));
  EXPECT_TRUE(other.received(one.id(), Lane::bulk) == sent);
  for (int i = 0; i < 500; ++i)
    EXPECT_EQ(other.received(one.id(), Lane::urgent)[static_cast<std::size_t>(i)], std::to_string(i));
  EXPECT_EQ(one.to(other.id(), Lane::bulk).sent, 500U);
  EXPECT_EQ(one.to(other.id(), Lane::bulk).waiting_bytes, 0U);
  EXPECT_EQ(other.from(one.id(), Lane::bulk).received, 500U);
  EXPECT_EQ(one.network->metrics().logged, 0U);
}

TEST_F(NetworkTest, KindsAndSendersAreTold)
{
  TestNode one(setup());
  TestNode other(setup());
  TestNode third(setup());
  ASSERT_TRUE(connect({&one, &other, &third}));
  one.send(third, Lane::urgent, "", 0);
  other.send(third, Lane::urgent, "x", 65'535);
  ASSERT_TRUE(eventually(
      [&] { return third.count(one.id(), Lane::urgent) == 1 && third.count(other.id(), Lane::urgent) == 1; }));
  for (const auto& message : third.take_all())
  {
    EXPECT_EQ(message.kind, message.from == one.id() ? 0 : 65'535);
    EXPECT_EQ(message.bytes, message.from == one.id() ? "" : "x");
  }
}

TEST_F(NetworkTest, NodesThatCallEachOtherAtOnceHaveOneConnectionForEachWayAndLane)
{
  TestNode one(setup());
  TestNode other(setup());
  ASSERT_TRUE(connect({&one, &other}));
  for (auto* node : {&one, &other})
    EXPECT_TRUE(eventually([&] { return node->network->metrics().connections == 4; }));
  for (const auto lane : {Lane::urgent, Lane::bulk})
  {
    EXPECT_EQ(one.to(other.id(), lane).connections, 1U);
    EXPECT_EQ(other.to(one.id(), lane).connections, 1U);
  }
}

TEST_F(NetworkTest, ALargeMessageArrivesAndALargerOneIsNotTaken)
{
  const auto small = [](Options& options)
  {
    options.lanes[1].message_limit = 3 << 20;
    options.lanes[1].queue_limit = 8 << 20;
  };
  TestNode one(setup(), small);
  TestNode other(setup(), small);
  ASSERT_TRUE(connect({&one, &other}));
  std::string large(3 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 31 >> 3);
  EXPECT_FALSE(one.send(other, Lane::bulk, large + "x"));
  EXPECT_FALSE(one.send(other, Lane::urgent, std::string((1 << 20) + 1, 'x')));
  EXPECT_TRUE(one.send(other, Lane::bulk, large));
  ASSERT_TRUE(eventually([&] { return other.count(one.id(), Lane::bulk) == 1; }));
  EXPECT_TRUE(other.received(one.id(), Lane::bulk).front() == large);
  EXPECT_EQ(one.to(other.id(), Lane::bulk).refused, 1U);
}

TEST_F(NetworkTest, NobodySendsToWhomTheyDoNotKnow)
{
  TestNode one(setup());
  TestNode other(setup());
  EXPECT_FALSE(one.send(other, Lane::urgent, "x"));
  one.network->set_peers({{one.id(), one.address()}, {"not an id", one.address()}});
  EXPECT_FALSE(one.send(one, Lane::urgent, "x"));
  EXPECT_TRUE(one.network->metrics().to.empty());
}

TEST_F(NetworkTest, ExpiredCertificatesAreGoodAmongNodes)
{
  TestNode::Setup old = setup();
  service.endorse(old.keys, 1'000'000);
  TestNode::Setup early = setup();
  service.endorse(early.keys, 4'000'000'000);
  TestNode one(old);
  TestNode other(early);
  EXPECT_TRUE(connect({&one, &other}));
}

TEST_F(NetworkTest, NodesOfAllGenerationsOfTheServiceSpeak)
{
  const TestService before;
  auto older = setup();
  before.endorse(older.keys);
  auto newer = setup();
  older.service_keys = newer.service_keys = {service.key.public_key(), before.key.public_key()};
  TestNode one(older);
  TestNode other(newer);
  EXPECT_TRUE(connect({&one, &other}));
}

TEST_F(NetworkTest, OldAndNewSpeakTheNewestVersionOfBoth)
{
  TestNode old(setup(), [](Options& options) { options.versions = {1, 1}; });
  TestNode one(setup(), [](Options& options) { options.versions = {1, 2}; });
  TestNode other(setup(), [](Options& options) { options.versions = {1, 2}; });
  ASSERT_TRUE(connect({&old, &one, &other}));
  EXPECT_EQ(old.to(one.id(), Lane::bulk).version, 1);
  EXPECT_EQ(one.to(old.id(), Lane::bulk).version, 1);
  EXPECT_EQ(one.to(other.id(), Lane::bulk).version, 2);
  EXPECT_EQ(other.to(one.id(), Lane::urgent).version, 2);

  // The old one is replaced in a rolling upgrade, and then the version that nobody needs any more is dropped.
  old.options.versions = {1, 2};
  old.restart();
  ASSERT_TRUE(connect({&old, &one, &other}));
  EXPECT_TRUE(eventually([&] { return one.to(old.id(), Lane::bulk).version == 2; }));
  old.options.versions = {2, 2};
  old.restart();
  ASSERT_TRUE(connect({&old, &one, &other}));
  EXPECT_EQ(old.to(one.id(), Lane::bulk).version, 2);
}

TEST_F(NetworkTest, NodesWithoutACommonVersionRefuseEachOther)
{
  TestNode old(setup(), [](Options& options) { options.versions = {1, 1}; });
  TestNode newer(setup(), [](Options& options) { options.versions = {2, 3}; });
  know_each_other({&old, &newer});
  EXPECT_TRUE(eventually([&] { return old.refused(Refusal::version) > 4 && newer.refused(Refusal::version) > 4; }));
  EXPECT_EQ(old.network->metrics().connections, 0U);
  // For who calls and who is called, a line each.
  EXPECT_LE(old.network->metrics().logged, 2U);
}

TEST_F(NetworkTest, KeysOfALongConnectionAreRenewed)
{
  const auto few = [](Options& options) { options.records_per_key = 10; };
  TestNode one(setup(), few);
  TestNode other(setup(), few);
  ASSERT_TRUE(connect({&one, &other}));
  for (int i = 0; i < 50; ++i)
  {
    EXPECT_TRUE(one.send(other, Lane::bulk, std::string(100'000, static_cast<char>('a' + i % 26))));
    EXPECT_TRUE(other.send(one, Lane::bulk, std::string(100'000, static_cast<char>('a' + i % 26))));
  }
  ASSERT_TRUE(
      eventually([&] { return other.count(one.id(), Lane::bulk) == 50 && one.count(other.id(), Lane::bulk) == 50; }));
  EXPECT_GT(one.to(other.id(), Lane::bulk).keys_renewed, 20U);
  EXPECT_EQ(one.to(other.id(), Lane::bulk).connections, 1U);
}

TEST_F(NetworkTest, OptionsThatCannotBeAreRefused)
{
  TestNode node(setup());
  const base::SystemClock clock;
  Callbacks callbacks;
  callbacks.on_message = [](Received) {};
  callbacks.may_speak = [](const NodeId&) { return true; };
  callbacks.service_keys = [] { return std::vector<crypto::PublicKey>(); };
  const auto outcome = [&](const std::function<void(Options&)>& change)
  {
    auto options = node.options;
    change(options);
    const auto started = Network::start(options, clock, callbacks);
    return started ? std::optional<ErrorCode>() : started.error().code;
  };
  EXPECT_EQ(outcome([](Options&) {}), std::nullopt);
  EXPECT_EQ(outcome([&](Options& options) { options.bind_address = node.address(); }), ErrorCode::io);
  EXPECT_EQ(outcome([](Options& options) { options.bind_address = "here"; }), ErrorCode::invalid);
  EXPECT_EQ(outcome([](Options& options) { options.versions = {2, 1}; }), ErrorCode::invalid);
  EXPECT_EQ(outcome([](Options& options) { options.identity.private_key_pem = "no key"; }), ErrorCode::invalid);
  EXPECT_EQ(outcome([](Options& options) { options.identity.certificate_pem = "none"; }), ErrorCode::invalid);
  EXPECT_EQ(outcome([](Options& options) { options.lanes[0].queue_limit = 1'000; }), ErrorCode::invalid);
}
}
}
