#include "node/readmissions.h"

#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
class ReadmissionsTest : public testing::Test
{
protected:
  ReadmissionsTest()
  {
    put("trusted", R"({"status":"Trusted"})", "1");
    put("gone", R"({"retired_committed":true,"status":"Retired"})", "2");
  }

  void put(std::string_view id, std::string_view record, std::string_view number)
  {
    transaction_.put(tables::node_info, id, record);
    transaction_.put(tables::engine_ids, id, number);
  }
  /// What is written becomes what is committed.
  kv::Snapshot commit()
  {
    auto state = std::make_shared<kv::State>(*store_.committed());
    state->apply(transaction_.writes(), {2, state->seqno() + 1});
    return state;
  }

  kv::Store store_;
  kv::WriteTransaction transaction_{store_.committed(), kv::RunBy::node};
  Readmissions readmissions_;
};
}

TEST_F(ReadmissionsTest, WhoComesBackIsGivenOneNumberForOneStart)
{
  const auto before = commit();
  EXPECT_EQ(readmissions_.look(before, "trusted", 7, false), std::nullopt);
  EXPECT_FALSE(readmissions_.any()) << "only the primary gives numbers";
  EXPECT_EQ(readmissions_.look(before, "gone", 7, true), std::nullopt);
  EXPECT_EQ(readmissions_.look(before, "unknown", 7, true), std::nullopt);
  EXPECT_FALSE(readmissions_.any()) << "who takes no part gets none";
  EXPECT_EQ(readmissions_.look(before, "trusted", 7, true), std::nullopt);
  ASSERT_TRUE(readmissions_.any());
  EXPECT_TRUE(readmissions_.write(transaction_));
  EXPECT_FALSE(readmissions_.any());
  EXPECT_EQ(engine_id_of(transaction_, "trusted"), 3U);
  const auto after = commit();
  EXPECT_EQ(readmissions_.look(after, "trusted", 7, true), 3U);
  EXPECT_FALSE(readmissions_.any());
}

TEST_F(ReadmissionsTest, WhoWentOnWithoutOthersIsNotedOnceForEachStart)
{
  const AcceptedAbsence absence{7, {2, 5}};
  EXPECT_TRUE(needs_note(transaction_, "trusted", absence));
  EXPECT_FALSE(needs_note(transaction_, "gone", absence));
  EXPECT_FALSE(needs_note(transaction_, "unknown", absence));
  for (const auto* const node : {"trusted", "gone", "unknown"})
    readmissions_.note_absence(node, absence);
  ASSERT_TRUE(readmissions_.any());
  EXPECT_TRUE(readmissions_.write(transaction_));
  EXPECT_EQ(transaction_.get(tables::accepted_absences, "trusted"), R"({"missing":[2,5],"start":"0000000000000007"})");
  EXPECT_FALSE(transaction_.get(tables::accepted_absences, "gone"));
  EXPECT_FALSE(transaction_.get(tables::accepted_absences, "unknown"));
  EXPECT_FALSE(needs_note(transaction_, "trusted", absence));
  readmissions_.note_absence("trusted", absence);
  EXPECT_FALSE(readmissions_.write(transaction_)) << "it says it until it sees it written";
  EXPECT_TRUE(needs_note(transaction_, "trusted", {8, {2}}));
}
}
