#include "consensus/engine_test_node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace concordat::consensus
{
namespace
{
/// A log whose older entries come from elsewhere, as from a ledger.
class Archive : public LogReader
{
public:
  RaftLog recent;
  std::vector<LogEntry> all;
  bool readable = true;
  mutable std::size_t reads = 0;

  Index first_index() const override
  {
    return 1;
  }
  Index last_index() const override
  {
    return recent.last_index();
  }
  std::optional<View> term(Index index) const override
  {
    if (index > 0 && index <= recent.base())
      return all[index - 1].term;
    return index == 0 ? View{0} : recent.term(index);
  }
  std::optional<LogEntry> read(Index index) const override
  {
    if (index > recent.base())
      return recent.read(index);
    if (!readable)
      return std::nullopt;
    ++reads;
    return all[index - 1];
  }
};

/// A leader of two whose log is in memory only to a small part; node 2 begins with nothing.
struct FromTheLedger : testing::Test
{
  Archive archive;
  std::unique_ptr<Engine> leader;
  TestNode follower;
  std::set<EngineId> stranded;

  void SetUp() override
  {
    archive.all = {{1, 2, {}}, {2, 2, batch(1), ConfigurationChange{{{2, Role::voter}}}}};
    for (Index index = 3; index <= 100; ++index)
      archive.all.push_back({index, 2, batch(index - 1)});
    archive.recent.append(archive.all);
    archive.recent.compact(90);
    EngineOptions options;
    options.configuration = {.voters = {1, 2}};
    options.hard_state = {2, 1, 100};
    options.applied = 100;
    options.seed = 1;
    leader = Engine::create(options, archive).value();
    follower.id = 2;
    follower.start({1}, 2);
  }

  void elect()
  {
    for (int i = 0; i < 50 && !leader->leads(); ++i)
      exchange();
    ASSERT_TRUE(leader->leads());
  }

  void exchange()
  {
    std::vector<Message> sent;
    const auto keep = [&](Message message) { sent.push_back(std::move(message)); };
    leader->tick();
    for (int round = 0; round < 200; ++round)
    {
      while (leader->has_ready())
      {
        auto ready = leader->ready();
        archive.recent.append(ready.entries);
        for (auto* messages : {&ready.messages, &ready.persisted_messages})
          std::ranges::for_each(*messages, keep);
        stranded.insert(ready.stranded.begin(), ready.stranded.end());
        auto more = leader->advance();
        std::ranges::for_each(more.messages, keep);
      }
      if (sent.empty())
        break;
      for (const auto& message : std::exchange(sent, {}))
        if (message.to == 2)
        {
          ASSERT_TRUE(follower.engine->step(message.bytes));
          follower.drain(keep);
        }
        else
          ASSERT_TRUE(leader->step(message.bytes));
    }
  }
};

TEST_F(FromTheLedger, AFollowerGetsEntriesThatAreNoLongerInMemory)
{
  elect();
  for (int i = 0; i < 5; ++i)
    exchange();
  EXPECT_TRUE(stranded.empty());
  EXPECT_GE(archive.reads, 90U);
  EXPECT_LE(archive.reads, 400U) << "they are read when they are sent, not each time";
  ASSERT_EQ(follower.committed.size(), archive.recent.last_index());
  for (Index index = 1; index <= 100; ++index)
    EXPECT_EQ(follower.committed[index - 1], archive.all[index - 1]);
  EXPECT_EQ(follower.engine->configuration(), (Configuration{.voters = {1, 2}}));
}

TEST_F(FromTheLedger, WhatCannotBeReadStrandsTheFollowerUntilItCan)
{
  archive.readable = false;
  elect();
  for (int i = 0; i < 30; ++i)
    exchange();
  EXPECT_TRUE(leader->leads());
  EXPECT_TRUE(stranded.contains(2));
  EXPECT_TRUE(follower.committed.empty());
  archive.readable = true;
  for (int i = 0; i < 5; ++i)
    exchange();
  EXPECT_EQ(follower.committed.size(), archive.recent.last_index());
}
}
}
