#include "consensus/engine_test_messages.h"
#include "consensus/engine_test_network.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <random>

namespace concordat::consensus
{
using namespace raw;

namespace
{
TEST_F(HostileMessages, BytesThatAreNoMessageAreRefused)
{
  refuses(ErrorCode::invalid, "", "nothing");
  refuses(ErrorCode::invalid, "hello", "text");
  refuses(ErrorCode::invalid, std::string(1000, '\xff'), "bytes of one kind");
  refuses(ErrorCode::limit, std::string((1 << 20) + 1, '\0'), "too many bytes");
  EXPECT_EQ(Engine::inspect("hello").error().code, ErrorCode::invalid);
}

TEST_F(HostileMessages, TypesThatOnlyANodeItselfMayUseAreRefused)
{
  for (const std::uint64_t kind : {0, 1, 2, 7, 10, 11, 12, 13, 15, 16, 19, 1000})
    refuses(ErrorCode::invalid, message({{type, kind}, {to, 2}, {from, 1}, {term, 2}}), "a local type");
}

TEST_F(HostileMessages, MessagesFromOrForTheWrongNodeAreRefused)
{
  refuses(ErrorCode::invalid, message({{type, heartbeat}, {to, 3}, {from, 1}, {term, 2}}), "for another node");
  refuses(ErrorCode::invalid, message({{type, heartbeat}, {to, 2}, {from, 2}, {term, 2}}), "from itself");
  refuses(ErrorCode::invalid, message({{type, heartbeat}, {to, 2}, {from, 1}}), "without a term");
  refuses(ErrorCode::invalid, message({{type, heartbeat}, {to, 2}, {term, 2}}), "without a sender");
}

TEST_F(HostileMessages, AnswersOfStrangersAndLateHandoversChangeNothing)
{
  const auto ignores = [&](const std::string& bytes, const char* what)
  {
    ASSERT_TRUE(node.engine->step(bytes)) << what;
    EXPECT_FALSE(node.engine->has_ready()) << what;
    EXPECT_EQ(node.engine->term(), 2U) << what;
    EXPECT_EQ(node.engine->leader(), 1U) << what;
  };
  for (const auto kind : {append_response, request_vote_response, heartbeat_response, request_prevote_response})
    ignores(message({{type, kind}, {to, 2}, {from, 9}, {term, 9}}), "an answer of a stranger");
  ignores(message({{type, timeout_now}, {to, 2}, {from, 3}, {term, 2}}), "a handover by who does not lead");
  ignores(message({{type, timeout_now}, {to, 2}, {from, 1}, {term, 3}}), "a handover of a term to come");
  ignores(message({{type, timeout_now}, {to, 2}, {from, 1}, {term, 1}}), "a handover of a term that is over");
  ignores(message({{type, request_vote}, {to, 2}, {from, 9}, {term, 9}}), "a vote while there is a leader");
}

TEST_F(HostileMessages, NumbersThatWouldWrapAreRefused)
{
  const std::uint64_t huge = std::uint64_t{1} << 63;
  for (const auto field : {term, log_term, at_index, commit, reject_hint})
  {
    auto bytes = message({{type, append_response}, {to, 2}, {from, 1}, {term, 2}});
    put(bytes, field, huge);
    refuses(ErrorCode::invalid, bytes, "a number of 2^63");
  }
}

TEST_F(HostileMessages, WhatIsNotUsedHereIsRefused)
{
  const auto base = message({{type, heartbeat}, {to, 2}, {from, 1}, {term, 2}});
  auto bytes = base;
  put(bytes, snapshot, std::string());
  refuses(ErrorCode::invalid, bytes, "a snapshot");
  bytes = base;
  put(bytes, request_snapshot, 1);
  refuses(ErrorCode::invalid, bytes, "a snapshot request");
  bytes = base;
  put(bytes, priority, 5);
  refuses(ErrorCode::invalid, bytes, "a priority");
  bytes = base;
  put(bytes, context, std::string("no token").append("!"));
  refuses(ErrorCode::invalid, bytes, "a context of another size");
  bytes = base;
  put(bytes, entries, entry(3, 2, ""));
  refuses(ErrorCode::invalid, bytes, "entries in a heartbeat");
  refuses(
      ErrorCode::invalid,
      message({{type, request_vote}, {to, 2}, {from, 3}, {term, 3}}, {{context, "CampaignSomething"}}),
      "a vote request with another context");
  refuses(
      ErrorCode::invalid,
      message({{type, request_prevote}, {to, 2}, {from, 3}, {term, 3}}, {{context, "CampaignTransfer"}}),
      "a question that overrides the lease");
}

TEST_F(HostileMessages, EntriesThatCannotFollowEachOtherAreRefused)
{
  const auto batch_bytes = batch(5).encode();
  const auto after_two = [&](Blobs blobs)
  {
    return message({{type, append}, {to, 2}, {from, 1}, {term, 2}, {at_index, 2}, {log_term, 2}, {commit, 1}}, blobs);
  };
  refuses(ErrorCode::invalid, after_two({{entries, entry(4, 2, batch_bytes)}}), "a gap");
  refuses(ErrorCode::invalid, after_two({{entries, entry(2, 2, batch_bytes)}}), "an entry twice");
  refuses(ErrorCode::invalid, after_two({{entries, entry(3, 1, batch_bytes)}}), "a term that falls");
  refuses(ErrorCode::invalid, after_two({{entries, entry(3, 3, batch_bytes)}}), "a term to come");
  refuses(ErrorCode::invalid, after_two({{entries, entry(3, 2, batch_bytes, 1)}}), "a change of the old kind");
  refuses(ErrorCode::invalid, after_two({{entries, entry(3, 2, "short")}}), "a short descriptor");
  refuses(ErrorCode::invalid, after_two({{entries, entry(3, 2, std::string(56, '\0'))}}), "a descriptor of nothing");
  refuses(
      ErrorCode::invalid, after_two({{entries, entry(3, 2, batch_bytes)}, {entries, entry(5, 2, batch_bytes)}}),
      "a gap further on");
}

TEST_F(HostileMessages, AnAppendBeyondTheLogMustNotMatchTheTermOfNothing)
{
  refuses(
      ErrorCode::invalid,
      message(
          {{type, append}, {to, 2}, {from, 1}, {term, 2}, {at_index, 10}, {log_term, 0}, {commit, 10}},
          {{entries, entry(11, 2, batch(5).encode())}}),
      "an append after an entry without a term");
}

TEST_F(HostileMessages, AHeartbeatThatKnowsOfMoreThanTheLogHoldsIsCorruption)
{
  refuses(ErrorCode::corrupt, message({{type, heartbeat}, {to, 2}, {from, 1}, {term, 2}, {commit, 3}}), "a lost entry");
  EXPECT_TRUE(node.engine->step(message({{type, heartbeat}, {to, 2}, {from, 1}, {term, 2}, {commit, 2}})));
  EXPECT_EQ(node.engine->commit(), 2U);
}

TEST_F(HostileMessages, ASecondLeaderOfATermIsCorruption)
{
  refuses(ErrorCode::corrupt, message({{type, heartbeat}, {to, 2}, {from, 3}, {term, 2}}), "another leader");
}

TEST(HostilePeers, ALeaderRefusesAnAcknowledgementOfWhatItDoesNotHave)
{
  TestNetwork network(3, 1);
  auto* const leader = network.await_leader();
  ASSERT_NE(leader, nullptr);
  const auto other = leader->id == 1 ? 2 : 1;
  const auto stepped = leader->engine->step(message(
      {{type, append_response},
       {to, leader->id},
       {from, static_cast<std::uint64_t>(other)},
       {term, leader->engine->term()},
       {at_index, 1000}}));
  ASSERT_FALSE(stepped);
  EXPECT_EQ(stepped.error().code, ErrorCode::corrupt);
}

/// One node gets another role; a joint configuration is left.
ConfigurationChange some_change(const Configuration& now, std::mt19937_64& random)
{
  if (now.joint())
    return {};
  ConfigurationChange change;
  for (EngineId id = 1 + random() % 4; id <= 4; id += 1 + random() % 4)
    change.members.push_back({id, static_cast<Role>(random() % 3)});
  return change;
}

/// Nodes that lie can make a network of this kind disagree or stop; they must not be able to end its processes.
TEST(HostilePeers, ChangedMessagesNeverEndTheProcess)
{
  const auto given = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed));
  const std::uint64_t first = given == 0 ? 1 : given;
  const std::uint64_t last = given == 0 ? 40 : given;
  std::size_t stepped = 0;
  std::size_t refused = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed)
  {
    SCOPED_TRACE("--gtest_random_seed=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::map<EngineId, TestNode> nodes;
    for (EngineId id = 1; id <= 4; ++id)
    {
      nodes[id].id = id;
      nodes[id].lied_to = true;
      nodes[id].start({1, 2, 3}, seed);
    }
    std::vector<Message> flying;
    std::uint64_t number = 0;
    for (int step = 0; step < 600; ++step)
    {
      auto& node = nodes[1 + random() % 4];
      if (!node.engine)
        continue;
      if (node.engine->leads() && random() % 8 == 0)
        (void)node.engine->propose_change(batch(++number), some_change(node.engine->configuration(), random));
      else if (node.engine->leads() && random() % 16 == 0)
        (void)node.engine->transfer_leadership(1 + random() % 4);
      else if (node.engine->leads() && random() % 2 == 0)
        (void)node.engine->propose(batch(++number));
      else
        node.engine->tick();
      const auto keep = [&](Message message) { flying.push_back(std::move(message)); };
      node.drain(keep);
      for (std::size_t i = 0; i < 4 && !flying.empty(); ++i)
      {
        const auto which = random() % flying.size();
        auto message = flying[which];
        if (random() % 4 != 0)
          flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(which));
        if (random() % 3 == 0)
          for (auto changes = 1 + random() % 3; changes > 0; --changes)
          {
            // Small numbers are likelier to be something that means another thing.
            const auto bound = random() % 2 == 0 ? 8U : 256U;
            const auto at = random() % message.bytes.size();
            message.bytes[at] = static_cast<char>(random() % bound);
          }
        auto& target = nodes[message.to];
        if (!target.engine)
          continue;
        ++stepped;
        if (auto outcome = target.engine->step(message.bytes); !outcome)
          ++refused;
        target.drain(keep);
      }
      if (flying.size() > 200)
        flying.clear();
    }
  }
  std::cout << "seeds " << first << " to " << last << ": " << stepped << " messages, " << refused << " refused\n";
  EXPECT_GT(refused, 0U);
  EXPECT_GT(stepped, 2 * refused) << "a run in which little gets through shows nothing";
}
}
}
