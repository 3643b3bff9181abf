#include "node/peer_link_test_support.h"

#include "base/encoding.h"
#include "consensus/engine_test_messages.h"
#include "ledger/secrets.h"

#include <atomic>

namespace concordat::node
{
namespace
{
namespace raw = consensus::raw;
using consensus::Descriptor;
using consensus::EngineId;
using peer::Lane;
using peer::test::eventually;
using test::LinkedNode;

struct PeerLinkTest : test::LinkedNodes
{
  static std::string heartbeat(EngineId from, EngineId to, View term = 2)
  {
    return raw::message({{raw::type, raw::heartbeat}, {raw::to, to}, {raw::from, from}, {raw::term, term}});
  }
  std::shared_ptr<const consensus::Batch> batch(Seqno seqno, std::size_t size = 10)
  {
    const auto entry =
        ledger::encode_entry(secrets.at(seqno), {2, seqno}, 0, {}, {}, "secret" + std::string(size, 'x'));
    return *consensus::Batch::received({seqno, seqno, entry.bytes.size(), entry.leaf}, entry.bytes);
  }
  static std::string append(EngineId from, EngineId to, const std::vector<std::shared_ptr<const consensus::Batch>>& of)
  {
    auto out =
        raw::message({{raw::type, raw::append}, {raw::to, to}, {raw::from, from}, {raw::term, 2}, {raw::commit, 0}});
    Seqno index = 1;
    for (const auto& one : of)
      raw::put(out, raw::entries, raw::entry(index++, 2, one->descriptor.encode()));
    return out;
  }
  /// As a node would that does not keep to the rules.
  static void send_bytes(LinkedNode& from, const LinkedNode& to, std::string bytes, std::uint16_t kind = 1)
  {
    ASSERT_TRUE(from.link->send(to.id(), static_cast<PeerMessage>(kind), peer::Payload(std::move(bytes))));
  }
  static std::string framed(const std::string& message, const std::string& batches = "")
  {
    return ConsensusMessage{"", message, {}}.encode_head() + batches;
  }
  /// What was sent before is here, or was dropped.
  static void settle(LinkedNode& from, LinkedNode& to)
  {
    auto last =
        raw::message({{raw::type, raw::append}, {raw::to, to.engine_id}, {raw::from, from.engine_id}, {raw::term, 77}});
    from.link->send(to.engine_id, last, {});
    ASSERT_TRUE(eventually([&] { return to.take_away(last); }));
  }

  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
};
}

TEST_F(PeerLinkTest, CarriesMessagesWithTheirBatches)
{
  begin(3);
  const auto one = batch(1);
  const auto two = batch(2, 3 << 20);
  const auto message = append(1, 3, {one, two});
  node(1).link->send(3, message, {one, two});
  node(2).link->send(3, heartbeat(2, 3), {});
  ASSERT_TRUE(eventually([&] { return node(3).count() == 2; }));
  for (const auto& received : node(3).received())
    if (!received.batches.empty())
    {
      EXPECT_EQ(received.message, message);
      ASSERT_EQ(received.batches.size(), 2U);
      EXPECT_EQ(received.batches[0]->descriptor, one->descriptor);
      EXPECT_EQ(received.batches[1]->descriptor, two->descriptor);
      EXPECT_EQ(received.batches[1]->entries(), two->entries());
    }
    else
      EXPECT_EQ(received.message, heartbeat(2, 3));
  EXPECT_EQ(node(2).count(), 0U) << "it is nobody else's";
}

TEST_F(PeerLinkTest, AppendsKeepTheirOrderAndHeartbeatsDoNotWaitForThem)
{
  begin(2);
  const auto large = batch(1, 8 << 20);
  node(1).link->send(2, append(1, 2, {large}), {large});
  node(1).link->send(2, append(1, 2, {}), {});
  node(1).link->send(2, heartbeat(1, 2), {});
  ASSERT_TRUE(eventually([&] { return node(2).count() == 3; }));
  const auto metrics = node(1).link->metrics().to.at(node(2).id());
  EXPECT_EQ(metrics[static_cast<std::size_t>(Lane::bulk)].sent, 2U);
  EXPECT_EQ(metrics[static_cast<std::size_t>(Lane::urgent)].sent, 1U);
  std::vector<std::size_t> appends;
  for (const auto& received : node(2).received())
    if (received.message != heartbeat(1, 2))
      appends.push_back(received.batches.size());
  EXPECT_EQ(appends, (std::vector<std::size_t>{1, 0}));
}

TEST_F(PeerLinkTest, NobodyIsSentToWhoHasNoNumber)
{
  begin(2);
  node(1).link->send(7, heartbeat(1, 7), {});
  node(1).link->send(0, heartbeat(1, 7), {});
  settle(node(1), node(2));
  EXPECT_EQ(node(2).count(), 0U);
}

TEST_F(PeerLinkTest, GarbageIsDroppedAndCounted)
{
  begin(2);
  std::uint64_t expected = 0;
  for (const auto& bytes :
       {std::string(), std::string("\xff"), std::string(1, '\0') + std::string("\xff\xff\xff\xff", 4), framed(""),
        framed("no message"), framed(std::string(1000, '\x08')), std::string("\x05no:po\x01\0\0\0x", 11)})
  {
    send_bytes(node(1), node(2), bytes);
    ++expected;
  }
  settle(node(1), node(2));
  EXPECT_EQ(node(2).count(), 0U);
  EXPECT_EQ(node(2).link->dropped(PeerFault::malformed), expected);
}

TEST_F(PeerLinkTest, UnknownKindsAreDropped)
{
  begin(2);
  for (const std::uint16_t kind : {0, 2, 3, 5, 65535})
    send_bytes(node(1), node(2), framed(heartbeat(1, 2)), kind);
  settle(node(1), node(2));
  EXPECT_EQ(node(2).link->dropped(PeerFault::unknown_kind), 5U);
  EXPECT_EQ(node(2).count(), 0U);
}

TEST_F(PeerLinkTest, NobodySpeaksUnderTheNumberOfAnother)
{
  begin(3);
  send_bytes(node(3), node(2), framed(heartbeat(1, 2)));
  send_bytes(node(3), node(2), framed(heartbeat(2, 2)));
  settle(node(3), node(2));
  EXPECT_EQ(node(2).count(), 0U);
  EXPECT_EQ(node(2).link->dropped(PeerFault::wrong_sender), 2U);
  send_bytes(node(3), node(2), framed(heartbeat(3, 1)));
  settle(node(3), node(2));
  EXPECT_EQ(node(2).count(), 0U);
  EXPECT_EQ(node(2).link->dropped(PeerFault::wrong_receiver), 1U);
}

TEST_F(PeerLinkTest, WhoHasComeBackMaySpeakUnderALaterNumber)
{
  begin(3);
  // That of node 3 is 3: 9 was given to it while this node was away, and one before 3 was given to nobody since.
  send_bytes(node(3), node(2), framed(heartbeat(9, 2)));
  settle(node(3), node(2));
  EXPECT_EQ(node(2).count(), 1U);
  EXPECT_EQ(node(2).link->node_of(9), node(3).id());
  node(2).link->takes_part_as(8);
  send_bytes(node(3), node(2), framed(heartbeat(3, 2)));
  send_bytes(node(3), node(2), framed(heartbeat(9, 8)));
  EXPECT_TRUE(eventually([&] { return node(2).take_away(heartbeat(9, 8)); }));
  EXPECT_EQ(node(2).link->dropped(PeerFault::wrong_receiver), 1U) << "it is for the number that it had";
}

TEST_F(PeerLinkTest, TheRollReachesEveryOtherNode)
{
  begin(3);
  consensus::Presence presence;
  presence.start = 5;
  presence.id = 1;
  presence.voters = {1, 2, 3};
  base::Mutex mutex;
  std::vector<std::pair<peer::NodeId, std::string>> heard;
  for (const unsigned number : {2U, 3U})
    node(number).link->hear_roll(
        [&](const peer::NodeId& from, std::string said)
        {
          const base::LockGuard lock(mutex);
          heard.emplace_back(from, std::move(said));
        });
  settle(node(1), node(2)); // what is said before both know each other may get lost
  settle(node(1), node(3));
  node(1).link->call_roll(presence.encode());
  settle(node(1), node(2));
  settle(node(1), node(3));
  {
    const base::LockGuard lock(mutex);
    EXPECT_EQ(heard, (std::vector<std::pair<peer::NodeId, std::string>>(2, {node(1).id(), presence.encode()})));
  }
  for (const auto& bytes : {framed(""), framed("nonsense"), framed(presence.encode()) + "more", std::string()})
    send_bytes(node(1), node(2), bytes, static_cast<std::uint16_t>(PeerMessage::presence));
  settle(node(1), node(2));
  EXPECT_EQ(node(2).link->dropped(PeerFault::malformed), 4U);
  const base::LockGuard lock(mutex);
  EXPECT_EQ(heard.size(), 2U);
}

TEST_F(PeerLinkTest, WhoCallsTheRollLearnsOfThoseThatJoinedMeanwhile)
{
  begin(2);
  settle(node(2), node(1));
  // Of the third only the second knows, as the first has been away, and it calls nobody.
  start(3);
  add(3);
  publish_to({2, 3});
  consensus::Presence presence;
  presence.start = 5;
  presence.id = 1;
  std::atomic<bool> called{false};
  node(3).link->hear_roll([&](const peer::NodeId&, const std::string&) { called = true; });
  node(2).link->hear_roll([](const peer::NodeId&, const std::string&) {});
  EXPECT_EQ(node(1).link->node_of(3), std::nullopt);
  EXPECT_TRUE(eventually(
      [&]
      {
        node(1).link->call_roll(presence.encode());
        return called.load();
      }));
  EXPECT_EQ(node(1).link->node_of(0), std::nullopt) << "under which number it takes part is not known by that";
  send_bytes(node(2), node(1), "nonsense", static_cast<std::uint16_t>(PeerMessage::addresses));
  settle(node(2), node(1));
  EXPECT_EQ(node(1).link->dropped(PeerFault::malformed), 1U);
}

TEST_F(PeerLinkTest, BatchesAreExactlyThoseThatAMessageNames)
{
  begin(2);
  const auto one = batch(1);
  std::string bytes;
  for (const auto entry : one->entries())
    bytes += entry;
  auto damaged = bytes;
  damaged.back() ^= 1;
  const auto named = append(1, 2, {one});
  for (const auto& beside : {std::string(), bytes.substr(1), bytes + "x", bytes + bytes, damaged})
    send_bytes(node(1), node(2), framed(named, beside));
  send_bytes(node(1), node(2), framed(append(1, 2, {}), bytes));
  send_bytes(node(1), node(2), framed(append(1, 2, {one, batch(2)}), bytes));
  settle(node(1), node(2));
  EXPECT_EQ(node(2).count(), 0U);
  EXPECT_EQ(node(2).link->dropped(PeerFault::wrong_batches), 7U);
  send_bytes(node(1), node(2), framed(named, bytes));
  settle(node(1), node(2));
  EXPECT_EQ(node(2).count(), 1U);
}

TEST_F(PeerLinkTest, WhoIsRetiredSpeaksUntilThatIsCommitted)
{
  begin(3);
  set_status(3, "Retired");
  node(3).link->send(1, heartbeat(3, 1), {});
  ASSERT_TRUE(eventually([&] { return node(1).count() == 1; }));
  set_status(3, "Retired", true);
  ASSERT_TRUE(eventually([&] { return node(1).link->metrics().to.count(node(3).id()) == 0; }));
  node(3).link->send(1, heartbeat(3, 1), {});
  node(2).link->send(1, heartbeat(2, 1), {});
  ASSERT_TRUE(eventually([&] { return node(1).count() == 2; }));
  for (const auto& received : node(1).received())
    EXPECT_TRUE(received.message == heartbeat(3, 1) || received.message == heartbeat(2, 1));
  // Its record goes, its number stays: it does not become a stranger who may speak again.
  remove(3);
  EXPECT_FALSE(PeerDirectory(state()).may_speak(node(3).id()));
}

TEST_F(PeerLinkTest, WhoStillCountsForAMajorityIsHeard)
{
  begin(2);
  set_voters({1, 2});
  set_status(2, "Retired", true);
  EXPECT_TRUE(PeerDirectory(state()).may_speak(node(2).id())) << "its removal needs its vote";
  remove(2);
  EXPECT_TRUE(PeerDirectory(state()).may_speak(node(2).id()));
  set_voters({1});
  EXPECT_FALSE(PeerDirectory(state()).may_speak(node(2).id()));
}

TEST_F(PeerLinkTest, PendingNodesMayNotSpeak)
{
  begin(2);
  set_status(2, "Pending");
  EXPECT_FALSE(PeerDirectory(state()).may_speak(node(2).id()));
  EXPECT_FALSE(PeerDirectory().may_speak(node(1).id())) << "nothing is known yet";
}

TEST_F(PeerLinkTest, WhoWasAwayHearsANodeThatJoinedMeanwhileAndAnswersIt)
{
  begin(2);
  start(3);
  add(3);
  publish_to({1, 3});
  node(3).link->send(2, heartbeat(3, 2), {});
  ASSERT_TRUE(eventually([&] { return node(2).count() == 1; }));
  EXPECT_EQ(node(2).link->node_of(3), node(3).id());
  node(2).link->send(3, heartbeat(2, 3), {});
  ASSERT_TRUE(eventually([&] { return node(3).count() == 1; }));
  // It cannot take the number of somebody who is known.
  send_bytes(node(3), node(2), framed(heartbeat(1, 2)));
  settle(node(3), node(2));
  EXPECT_EQ(node(2).link->dropped(PeerFault::wrong_sender), 1U);
}

TEST_F(PeerLinkTest, WhatIsForAnEarlierNumberStillTellsWhoSentIt)
{
  begin(2);
  start(3);
  add(3);
  publish_to({1, 3});
  node(2).link->takes_part_as(5);
  node(3).link->send(2, heartbeat(3, 2), {});
  ASSERT_TRUE(eventually([&] { return node(2).link->dropped(PeerFault::wrong_receiver) == 1; }));
  EXPECT_EQ(node(2).count(), 0U);
  node(2).link->send(3, heartbeat(5, 3), {});
  EXPECT_TRUE(eventually([&] { return node(3).count() == 1; })) << "it is found, and believed";
}

TEST_F(PeerLinkTest, ANodeThatComesBackElsewhereIsFoundByWhatItSays)
{
  begin(2);
  node(2).link.reset();
  node(2).forget();
  node(2).bind = "127.0.0.1:0"; // another port
  start(2);
  publish_to({2});
  node(2).link->send(1, heartbeat(2, 1), {});
  ASSERT_TRUE(eventually([&] { return node(1).count() == 1; }));
  node(1).link->send(2, heartbeat(1, 2), {});
  ASSERT_TRUE(eventually([&] { return node(2).count() == 1; }));
}

TEST_F(PeerLinkTest, BatchesCountForTheirSenderForAsLongAsTheyLive)
{
  begin(2);
  const auto one = batch(1, 1 << 20);
  node(1).link->send(2, append(1, 2, {one}), {one});
  ASSERT_TRUE(eventually([&] { return node(2).count() == 1; }));
  const auto held = [&]
  { return node(2).link->metrics().from[static_cast<std::size_t>(Lane::bulk)].at(node(1).id()).held; };
  EXPECT_GE(held(), 1U << 20);
  node(2).forget();
  EXPECT_TRUE(eventually([&] { return held() == 0; }));
}

TEST_F(PeerLinkTest, AnAddressThatCannotBeIsRefused)
{
  begin(1);
  PeerLink::Options options{node(1).keys.identity, service.keys(), "127.0.0.1:0", std::string(300, 'a') + ":1", {}};
  const auto refused = PeerLink::start(options, clock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
  options.published_address.clear();
  options.identity.private_key_pem = "none";
  EXPECT_FALSE(PeerLink::start(options, clock));
}
}
