#include "consensus/engine_test_messages.h"

#include <gtest/gtest.h>

namespace concordat::consensus
{
using namespace raw;

namespace
{
/// What another node may say of a change of the configuration.
struct HostileChanges : HostileMessages
{
  const std::string batch_bytes = batch(5).encode();

  std::string append_of(const std::vector<std::string>& carried, Index committed = 1)
  {
    auto out =
        message({{type, append}, {to, 2}, {from, 1}, {term, 2}, {at_index, 2}, {log_term, 2}, {commit, committed}});
    for (const auto& one : carried)
      put(out, entries, one);
    return out;
  }
  std::string with_change(const std::string& change)
  {
    return append_of({change_entry(3, 2, change, batch_bytes)});
  }
  void refuses_change(const std::string& change, const char* what)
  {
    refuses(ErrorCode::invalid, with_change(change), what);
    const auto inspected = Engine::inspect(with_change(change));
    ASSERT_FALSE(inspected) << what;
    EXPECT_EQ(inspected.error().code, ErrorCode::invalid) << what;
  }
};

TEST_F(HostileChanges, ASoundOneIsShownAndTaken)
{
  const auto joint = change_bytes(2, {single_change(0, 4), single_change(1, 3), single_change(2, 5)});
  const LogEntry expected{3, 2, batch(5), ConfigurationChange{{{4, Role::voter}, {3, Role::none}, {5, Role::learner}}}};
  const auto summary = Engine::inspect(with_change(joint));
  ASSERT_TRUE(summary) << summary.error().describe();
  EXPECT_EQ(summary->entries, std::vector{expected});
  ASSERT_TRUE(node.engine->step(with_change(joint)));
  node.drain([](const Message&) {});
  EXPECT_EQ(node.log.entry(3), expected);

  const auto leave = Engine::inspect(with_change(""));
  ASSERT_TRUE(leave);
  EXPECT_EQ(leave->entries.front().change, ConfigurationChange{});
  const auto one = Engine::inspect(with_change(change_bytes(0, {single_change(2, 9)})));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->entries.front().change, (ConfigurationChange{{{9, Role::learner}}}));
  const auto alone = Engine::inspect(with_change(change_bytes(2, {single_change(1, 3)})));
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->entries.front().change, (ConfigurationChange{{{3, Role::none}}, true}));
}

TEST_F(HostileChanges, AChangeWithoutAProperBatchIsRefused)
{
  const auto change = change_bytes(0, {single_change(0, 4)});
  refuses(ErrorCode::invalid, append_of({change_entry(3, 2, change, "")}), "no batch");
  refuses(ErrorCode::invalid, append_of({change_entry(3, 2, change, "short")}), "a short descriptor");
  refuses(ErrorCode::invalid, append_of({change_entry(3, 2, change, std::string(56, '\0'))}), "a batch of nothing");
  refuses(ErrorCode::invalid, append_of({entry(3, 2, "", 2)}), "a change without anything");
  auto plain = entry(3, 2, batch_bytes);
  put(plain, 6, batch_bytes);
  refuses(ErrorCode::invalid, append_of({plain}), "a batch with a context");
}

TEST_F(HostileChanges, BytesThatAreNoChangeOfOursAreRefused)
{
  const auto four = single_change(0, 4);
  refuses_change("hello", "text");
  refuses_change(std::string(40, '\xff'), "bytes of one kind");
  refuses_change(change_bytes(0, {single_change(0, 4), single_change(0, 5)}), "two that would leave by themselves");
  refuses_change(change_bytes(1, {single_change(0, 4), single_change(0, 5)}), "an implicit transition");
  refuses_change(change_bytes(2, {}), "a joint one of nobody");
  refuses_change(change_bytes(7, {four}), "an unknown transition");
  refuses_change(change_bytes(0, {single_change(3, 4)}), "an unknown kind");
  refuses_change(change_bytes(0, {single_change(0, 0)}), "node 0");
  refuses_change(change_bytes(0, {single_change(0, EngineId{1} << 63)}), "a node of 2^63");
  refuses_change(change_bytes(2, {four, four}), "a node twice");
  refuses_change(change_bytes(2, {four, single_change(1, 4)}), "a node twice in two roles");
  auto with_context = change_bytes(0, {four});
  put(with_context, 3, batch_bytes);
  refuses_change(with_context, "a context of its own");
  auto unknown = change_bytes(0, {four});
  put(unknown, 9, 1);
  refuses_change(unknown, "an unknown field");
  std::string default_kind;
  put(default_kind, 1, 0);
  put(default_kind, 2, 4);
  refuses_change(change_bytes(0, {default_kind}), "the same in other bytes");
  std::vector<std::string> many;
  for (EngineId id = 10; many.size() <= ConfigurationChange::max_members; ++id)
    many.push_back(single_change(2, id));
  refuses_change(change_bytes(2, many), "too many nodes");
  many.pop_back();
  EXPECT_TRUE(Engine::inspect(with_change(change_bytes(2, many))));
}

TEST_F(HostileChanges, TwoChangesThatAreNotCommittedAreRefused)
{
  const auto carried = [&](EngineId id) { return change_bytes(0, {single_change(2, id)}); };
  const std::vector two{change_entry(3, 2, carried(4), batch_bytes), change_entry(4, 2, carried(5), batch_bytes)};
  refuses(ErrorCode::invalid, append_of(two, 2), "two changes at once");
  ASSERT_TRUE(node.engine->step(append_of(two, 3))) << "of which the first is committed";
  node.drain([](const Message&) {});
  EXPECT_EQ(node.engine->configuration(), (Configuration{.voters = {1, 2, 3}, .learners = {4}}));
}

TEST_F(HostileChanges, AHandoverIsFollowed)
{
  ASSERT_TRUE(node.engine->step(message({{type, timeout_now}, {to, 2}, {from, 1}, {term, 2}})));
  EXPECT_EQ(node.engine->term(), 3U);
  std::size_t asked = 0;
  node.drain(
      [&](const Message& message)
      {
        ++asked;
        EXPECT_TRUE(message.entries.empty());
        EXPECT_TRUE(Engine::inspect(message.bytes));
      });
  EXPECT_EQ(asked, 2U);
}

TEST_F(HostileChanges, AVoteIsGivenToWhoTakesOverThoughThereIsALeader)
{
  const auto request = [](const std::string& why)
  {
    return message(
        {{type, request_vote}, {to, 2}, {from, 3}, {term, 3}, {at_index, 2}, {log_term, 2}}, {{context, why}});
  };
  ASSERT_TRUE(
      node.engine->step(message({{type, request_vote}, {to, 2}, {from, 3}, {term, 3}, {at_index, 2}, {log_term, 2}})));
  EXPECT_EQ(node.engine->term(), 2U);
  ASSERT_TRUE(node.engine->step(request("CampaignTransfer")));
  node.drain([](const Message&) {});
  EXPECT_EQ(node.hard_state.term, 3U);
  EXPECT_EQ(node.hard_state.vote, 3U);
}
}
}
