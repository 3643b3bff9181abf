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
}
