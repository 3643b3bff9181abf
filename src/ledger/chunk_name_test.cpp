#include "ledger/chunk_name.h"

#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
TEST(ChunkName, TakesExactlyTheNamesOfTheSheet)
{
  for (const std::string name :
       {"ledger_1", "ledger_1-10", "ledger_1-10.committed", "ledger_5.recovery", "ledger_5-6.committed.recovery",
        "ledger_7-7.committed"})
  {
    const auto parsed = ChunkName::parse(name);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->to_string(), name);
  }
  for (const std::string name :
       {"", "ledger_", "ledger_0", "ledger_01", "ledger_1-", "ledger_2-1", "ledger_1.committed", "ledger_1-2.committe",
        "ledger_1-2.recovery.committed", "ledger_99999999999999999999", "ledger_9223372036854775808", "ledger_-1",
        "ledger_+1", " ledger_1", "ledger_1 ", "ledger_1-2.committed.ignored", "snapshot_1"})
    EXPECT_FALSE(ChunkName::parse(name)) << name;
}
}
}
