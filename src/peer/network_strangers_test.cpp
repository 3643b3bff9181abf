#include "peer/test_raw_node.h"

#include <string>
#include <vector>

namespace concordat::peer::test
{
namespace
{
/// Those who connect to a node and should not have.
class StrangersTest : public NetworkTest
{
protected:
  /// What a node says to somebody with these keys who says `change(hello)`.
  std::optional<Answer>
  answer_to(const TestNode& node, const TestNodeKeys& keys, const std::function<void(Hello&)>& change = {})
  {
    RawNode raw(node.address());
    if (!raw.handshake(&keys.identity))
      return std::nullopt;
    auto hello = raw.hello(keys, node.id(), service);
    if (change)
      change(hello);
    raw.send(hello.encode());
    auto answer = raw.read_reply();
    if (answer && answer->refusal != Refusal::none)
    {
      EXPECT_TRUE(raw.is_closed());
    }
    return answer;
  }
  static Refusal refusal(const std::optional<Answer>& answer)
  {
    EXPECT_TRUE(answer.has_value());
    return answer ? answer->refusal : Refusal::none;
  }
};

TEST_F(StrangersTest, AMemberIsWelcome)
{
  TestNode node(setup());
  const auto answer = answer_to(node, member());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->refusal, Refusal::none);
  EXPECT_EQ(answer->version, 1);
  EXPECT_EQ(answer->service, service_digest(service.keys()));
}

TEST_F(StrangersTest, WhoIsNotEndorsedIsRefused)
{
  TestNode node(setup());
  // They are in the ledger as far as their key goes; their certificate is what is wrong.
  const auto self_signed = TestService::self_signed_node();
  const auto foreign = TestService().node();
  ledger->add(self_signed.id());
  ledger->add(foreign.id());
  EXPECT_EQ(refusal(answer_to(node, self_signed)), Refusal::certificate);
  EXPECT_EQ(refusal(answer_to(node, foreign)), Refusal::certificate);
  EXPECT_EQ(node.refused(Refusal::certificate), 2U);
  EXPECT_EQ(node.network->metrics().connections, 0U);
}

TEST_F(StrangersTest, AForgedIdIsRefused)
{
  TestNode node(setup());
  TestNode victim(setup());
  const auto keys = member();
  EXPECT_EQ(refusal(answer_to(node, keys, [&](Hello& hello) { hello.from = *to_wire(victim.id()); })), Refusal::sender);
  EXPECT_EQ(
      refusal(answer_to(node, keys, [&](Hello& hello) { hello.to = *to_wire(victim.id()); })), Refusal::recipient);
  EXPECT_EQ(refusal(answer_to(node, keys, [&](Hello& hello) { hello.service.fill(1); })), Refusal::service);
  EXPECT_EQ(refusal(answer_to(node, keys, [&](Hello& hello) { hello.versions = {2, 3}; })), Refusal::version);
}

TEST_F(StrangersTest, WhoTheLedgerDoesNotKnowIsRefused)
{
  TestNode node(setup());
  const auto pending = service.node();
  EXPECT_EQ(refusal(answer_to(node, pending)), Refusal::membership);
  ledger->add(pending.id());
  EXPECT_EQ(refusal(answer_to(node, pending)), Refusal::none);
}

TEST_F(StrangersTest, AReplayedHelloIsRefused)
{
  TestNode node(setup());
  const auto keys = member();
  std::string recorded;
  {
    RawNode raw(node.address());
    ASSERT_TRUE(raw.handshake(&keys.identity));
    recorded = raw.hello(keys, node.id(), service).encode();
    ASSERT_TRUE(raw.send(recorded));
    EXPECT_EQ(refusal(raw.read_reply()), Refusal::none);
  }
  RawNode again(node.address());
  ASSERT_TRUE(again.handshake(&keys.identity));
  ASSERT_TRUE(again.send(recorded));
  EXPECT_EQ(refusal(again.read_reply()), Refusal::binding);
  // By another node, for which it was not made either.
  EXPECT_EQ(refusal(answer_to(node, member(), [&](Hello& hello) { hello = **read_hello(recorded); })), Refusal::sender);
}

TEST_F(StrangersTest, WithoutACertificateThereIsNoHandshake)
{
  TestNode node(setup());
  RawNode raw(node.address());
  raw.handshake(nullptr); // in TLS 1.3 the client hears of it afterwards
  EXPECT_TRUE(raw.is_closed());
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::handshake) == 1; }));
}

TEST_F(StrangersTest, OlderTlsIsNotSpoken)
{
  TestNode node(setup());
  const auto keys = member();
  RawNode raw(node.address());
  EXPECT_FALSE(raw.handshake(&keys.identity, false, TLS1_2_VERSION));
}

TEST_F(StrangersTest, OtherProtocolsAreRefused)
{
  TestNode node(setup());
  const auto keys = member();
  RawNode plain(node.address());
  plain.send_raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(plain.is_closed());
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::handshake) == 1; }));

  for (const auto& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, 'C'), std::string("CCDTPEER\xff\xff", 10)})
  {
    RawNode raw(node.address());
    ASSERT_TRUE(raw.handshake(&keys.identity));
    raw.send(bytes);
    EXPECT_TRUE(raw.is_closed());
  }
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::malformed) == 3; }));
}

TEST_F(StrangersTest, WhoSpeaksBeforeTheAnswerIsRefused)
{
  TestNode node(setup());
  const auto keys = member();
  RawNode raw(node.address());
  ASSERT_TRUE(raw.handshake(&keys.identity));
  raw.send(raw.hello(keys, node.id(), service).encode() + std::string(alive_frame()));
  EXPECT_TRUE(raw.is_closed());
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::malformed) == 1; }));
}

TEST_F(StrangersTest, RefusalsAreLoggedOnceAndCounted)
{
  TestNode node(setup());
  const auto pending = service.node();
  const auto foreign = TestService().node();
  for (int i = 0; i < 5; ++i)
  {
    answer_to(node, pending);
    answer_to(node, foreign);
  }
  EXPECT_EQ(node.refused(Refusal::membership), 5U);
  EXPECT_EQ(node.refused(Refusal::certificate), 5U);
  EXPECT_EQ(node.network->metrics().logged, 2U);
}

TEST_F(StrangersTest, ADripAndSilenceAreEndedInTheirTime)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed);
  const auto keys = member();
  RawNode silent(node.address());
  RawNode half(node.address());
  half.send_raw(std::string("\x16\x03\x01\x02\x00\x01", 6));
  RawNode dripping(node.address());
  ASSERT_TRUE(dripping.handshake(&keys.identity));
  const auto hello = dripping.hello(keys, node.id(), service).encode();
  ASSERT_TRUE(eventually([&] { return node.network->metrics().waiting_handshakes == 3; }));
  // A byte each time that the clock moves does not prolong it.
  std::size_t sent = 0;
  for (; sent < 20; ++sent)
  {
    clock.advance(std::chrono::milliseconds(200));
    ASSERT_TRUE(dripping.send(hello.substr(sent, 1)));
  }
  EXPECT_EQ(node.refused(Refusal::time), 0U);
  clock.advance(std::chrono::milliseconds(1'100));
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(half.is_closed());
  EXPECT_TRUE(dripping.is_closed());
  EXPECT_EQ(node.refused(Refusal::time), 3U);
  EXPECT_EQ(node.network->metrics().waiting_handshakes, 0U);
}

TEST_F(StrangersTest, ManyOfThemCannotTakeThePlacesOfNodes)
{
  ManualClock clock; // nothing is ended by time
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed, [](Options& options) { options.max_strange_handshakes = 4; });
  TestNode known(setup());
  // The node has called 127.0.0.1, so whoever comes from there has places of their own.
  node.network->set_peers({{known.id(), known.address()}});
  ASSERT_TRUE(eventually([&] { return node.is_connected_to(known); }));
  const auto keys = member();
  RawNode waiting(node.address());
  ASSERT_TRUE(waiting.handshake(&keys.identity));

  std::vector<RawNode> strangers;
  for (in_addr_t i = 0; i < 40; ++i)
    strangers.emplace_back(node.address(), INADDR_LOOPBACK + 1 + i);
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::crowded) == 36; }));
  EXPECT_LE(node.network->metrics().waiting_handshakes, 5U);
  ASSERT_TRUE(waiting.send(waiting.hello(keys, node.id(), service).encode()));
  EXPECT_EQ(refusal(waiting.read_reply()), Refusal::none);
  // And who comes now finds a place too.
  known.network->set_peers({{node.id(), node.address()}});
  EXPECT_TRUE(eventually([&] { return known.is_connected_to(node); }));
}

TEST_F(StrangersTest, OneAddressWithManyConnectionsLosesItsOwn)
{
  ManualClock clock;
  auto timed = setup();
  timed.clock = &clock;
  TestNode node(timed, [](Options& options) { options.max_strange_handshakes = 4; });
  const auto keys = member();
  RawNode waiting(node.address(), INADDR_LOOPBACK + 7);
  ASSERT_TRUE(waiting.handshake(&keys.identity));
  std::vector<RawNode> strangers;
  for (int i = 0; i < 20; ++i)
    strangers.emplace_back(node.address(), INADDR_LOOPBACK + 1);
  EXPECT_TRUE(eventually([&] { return node.refused(Refusal::crowded) == 17; }));
  ASSERT_TRUE(waiting.send(waiting.hello(keys, node.id(), service).encode()));
  EXPECT_EQ(refusal(waiting.read_reply()), Refusal::none);
}
}
}
