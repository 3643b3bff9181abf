#include "peer/test_raw_node.h"

#include <string>

namespace concordat::peer::test
{
namespace
{
/// What answers where a node should be, and is not that node.
class CallsTest : public NetworkTest
{
};

TEST_F(CallsTest, HelloSaysWhatItShould)
{
  TestNode node(setup(), [](Options& options) { options.versions = {1, 3}; });
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}});
  Hello hello;
  const auto raw = listener.welcome(keys, service, Lane::bulk, &hello);
  ASSERT_TRUE(raw);
  EXPECT_EQ(hello.versions, (VersionRange{1, 3}));
  EXPECT_EQ(hello.from, *to_wire(node.id()));
  EXPECT_EQ(hello.to, *to_wire(keys.id()));
  EXPECT_EQ(hello.service, service_digest(service.keys()));
  EXPECT_EQ(hello.binding, raw->binding());
}

TEST_F(CallsTest, NothingIsSaidToWhoeverIsNotMeant)
{
  TestNode node(setup());
  TestNode::Setup other_setup = setup();
  TestNode other(other_setup);
  const auto missing = member();
  const auto foreign = TestService().node();
  // Another node answers at the address.
  node.network->set_peers({{missing.id(), other.address()}});
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::recipient) >= 3; }));
  // Somebody whom the service does not know answers.
  RawListener listener;
  node.network->set_peers({{foreign.id(), listener.address()}});
  auto raw = listener.accept();
  ASSERT_TRUE(raw && raw->handshake(&foreign.identity, true));
  EXPECT_FALSE(raw->read_call());
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::certificate) >= 1; }));
  EXPECT_EQ(node.network->metrics().connections, 0U);
  EXPECT_EQ(other.network->metrics().connections, 0U);
}

TEST_F(CallsTest, AnswersThatAreNoneAreRefused)
{
  TestNode node(setup());
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}});
  auto other_version = Answer{Refusal::none, 2, service_digest(service.keys())};
  auto other_service = Answer{Refusal::none, 1, service_digest(TestService().keys())};
  auto refusal = Answer{Refusal::membership, 0, service_digest(service.keys())};
  for (const auto& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("CCDTPEER\xff\xff", 10), other_version.encode(),
        other_service.encode(), refusal.encode()})
  {
    auto raw = listener.accept();
    ASSERT_TRUE(raw && raw->handshake(&keys.identity, true));
    ASSERT_TRUE(raw->read_call());
    raw->send(answer);
    EXPECT_TRUE(raw->is_closed());
  }
  EXPECT_EQ(node.refused(Refusal::malformed), 2U);
  EXPECT_EQ(node.refused(Refusal::version), 1U);
  EXPECT_EQ(node.refused(Refusal::service), 1U);
  EXPECT_EQ(node.refused(Refusal::membership), 0U) << "that was their refusal";
  EXPECT_EQ(node.network->metrics().connections, 0U);
}

TEST_F(CallsTest, WhoeverDoesNotAnswerIsCalledAgain)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed);
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}});
  for (int i = 0; i < 3; ++i)
  {
    auto one = listener.accept();
    auto other = listener.accept();
    ASSERT_TRUE(one && other);
    clock.advance(std::chrono::milliseconds(5'000));
    EXPECT_TRUE(one->is_closed());
    EXPECT_TRUE(other->is_closed());
    clock.advance(std::chrono::milliseconds(1'000));
  }
  EXPECT_EQ(node.network->metrics().logged, 1U);
}

TEST_F(CallsTest, TriesBecomeRarer)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed, [](Options& options) { options.most_backoff = std::chrono::milliseconds(60'000); });
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}});
  // Each try ends at once. After n of them the next comes at most 20 ms · 2^n later, and not in the first half of that.
  for (int tries = 0; tries < 8; ++tries)
  {
    for (int lane = 0; lane < 2; ++lane)
      ASSERT_TRUE(listener.accept());
    const auto wait = std::chrono::milliseconds(20 << tries);
    ASSERT_TRUE(
        eventually([&] { return node.refused(Refusal::handshake) == 2U * (static_cast<unsigned>(tries) + 1); }));
    clock.advance(wait / 2 - std::chrono::milliseconds(1));
    std::this_thread::sleep_for(node.options.tick * 5);
    EXPECT_EQ(node.refused(Refusal::handshake), 2U * (static_cast<unsigned>(tries) + 1));
    clock.advance(wait / 2 + std::chrono::milliseconds(1));
  }
}

TEST_F(CallsTest, WhoSpeaksWhereOnlyTheCallerDoesIsCutOff)
{
  TestNode node(setup());
  const auto keys = member();
  RawListener listener;
  node.network->set_peers({{keys.id(), listener.address()}});
  auto raw = listener.welcome(keys, service, Lane::urgent);
  ASSERT_TRUE(raw);
  raw->send("x");
  EXPECT_TRUE(raw->is_closed());
}

TEST_F(CallsTest, AnAddressThatCannotBeUsedHurtsNobodyElse)
{
  TestNode node(setup());
  TestNode other(setup());
  node.network->set_peers(
      {{other.id(), other.address()},
       {member().id(), "no address"},
       {member().id(), "127.0.0.1:1"},
       {member().id(), "no-such-host.invalid:1"}});
  EXPECT_TRUE(eventually([&] { return node.is_connected_to(other); }));
  EXPECT_TRUE(eventually([&] { return node.network->metrics().logged == 3; }));
}

TEST_F(CallsTest, NamesAreLookedUp)
{
  TestNode node(setup());
  TestNode other(setup());
  const auto port = other.address().substr(other.address().rfind(':'));
  node.network->set_peers({{other.id(), "localhost" + port}});
  EXPECT_TRUE(eventually([&] { return node.is_connected_to(other); }));
}
}
}
