#include "node/engine_ids.h"

#include "kv/store.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
class EngineIds : public testing::Test
{
protected:
  void node(std::string_view id, std::string_view status)
  {
    transaction->put(tables::node_info, id, to_canonical_json(boost::json::object{{"status", status}}));
  }

  kv::Store store;
  std::unique_ptr<kv::WriteTransaction> transaction = store.begin(kv::RunBy::node);
};
using Ids = std::map<consensus::EngineId, std::string>;
}

TEST_F(EngineIds, TheNodeOfALedgerWithoutNumbersHasTheFirst)
{
  node("aa", "Trusted");
  EXPECT_EQ(engine_id_of(*transaction, "aa"), 1U);
  EXPECT_EQ(node_ids(*transaction), (Ids{{1, "aa"}}));
  EXPECT_FALSE(transaction->has(tables::engine_ids, "aa")) << "reading writes nothing";
}

TEST_F(EngineIds, ANodeThatWasNeverTrustedHasNone)
{
  node("aa", "Trusted");
  node("bb", "Pending");
  EXPECT_FALSE(engine_id_of(*transaction, "bb"));
  EXPECT_FALSE(engine_id_of(*transaction, "cc"));
  EXPECT_EQ(node_ids(*transaction), (Ids{{1, "aa"}}));
}

TEST_F(EngineIds, NobodyIsGuessedWhereSeveralCouldBeTheFirst)
{
  node("aa", "Trusted");
  node("bb", "Trusted");
  EXPECT_TRUE(node_ids(*transaction).empty());
}

TEST_F(EngineIds, GivingTheSecondWritesDownTheFirst)
{
  node("ff", "Trusted");
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 2U);
  EXPECT_EQ(transaction->get(tables::engine_ids, "ff"), "1");
  EXPECT_EQ(transaction->get(tables::engine_ids, "aa"), "2");
  node("ff", "Retired");
  node("aa", "Trusted");
  EXPECT_EQ(engine_id_of(*transaction, "ff"), 1U);
}

TEST_F(EngineIds, ANodeKeepsItsNumberHoweverOftenItIsGiven)
{
  node("ff", "Trusted");
  EXPECT_EQ(give_engine_id(*transaction, "ff"), 1U);
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 2U);
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 2U);
  EXPECT_EQ(give_engine_id(*transaction, "ff"), 1U);
}

TEST_F(EngineIds, ANumberOfANodeThatIsGoneIsNotGivenAgain)
{
  node("ff", "Trusted");
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 2U);
  transaction->remove(tables::node_info, "aa");
  EXPECT_EQ(give_engine_id(*transaction, "bb"), 3U);
  EXPECT_EQ(node_ids(*transaction), (Ids{{1, "ff"}, {2, "aa"}, {3, "bb"}}));
}

TEST_F(EngineIds, TheFirstOfAServiceThatBeginsIsOne)
{
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 1U);
  EXPECT_EQ(transaction->get(tables::engine_ids, "aa"), "1");
}

TEST_F(EngineIds, WhoComesBackGetsOneThatNobodyHasHadForEachStart)
{
  node("ff", "Trusted");
  EXPECT_EQ(give_engine_id(*transaction, "aa"), 2U);
  EXPECT_EQ(renew_engine_id(*transaction, "ff", 77), 3U);
  EXPECT_EQ(renew_engine_id(*transaction, "ff", 77), 3U) << "asked twice";
  EXPECT_EQ(engine_id_since(*transaction, "ff", 77), 3U);
  EXPECT_FALSE(engine_id_since(*transaction, "ff", 78));
  EXPECT_FALSE(engine_id_since(*transaction, "aa", 77));
  EXPECT_EQ(renew_engine_id(*transaction, "ff", 78), 4U);
  EXPECT_EQ(engine_ids_of(*transaction, "ff"), (std::vector<consensus::EngineId>{1, 3, 4}));
  EXPECT_EQ(node_ids(*transaction), (Ids{{2, "aa"}, {4, "ff"}}));
  EXPECT_EQ(give_engine_id(*transaction, "bb"), 5U) << "none is given again";
}

TEST_F(EngineIds, TheOnlyNodeOfALedgerWithoutNumbersMayComeBack)
{
  node("ff", "Trusted");
  EXPECT_EQ(renew_engine_id(*transaction, "ff", 77), 2U);
  EXPECT_EQ(engine_ids_of(*transaction, "ff"), (std::vector<consensus::EngineId>{1, 2}));
}

TEST_F(EngineIds, OfThoseThatItHadTheLastAreKept)
{
  node("ff", "Trusted");
  for (std::uint64_t start = 1; start <= 100; ++start)
    renew_engine_id(*transaction, "ff", start);
  const auto ids = engine_ids_of(*transaction, "ff");
  EXPECT_EQ(ids.size(), 65U);
  EXPECT_EQ(ids.back(), 101U);
}
}
