#include "consensus/batch.h"

#include "ledger/secrets.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace concordat::consensus
{
namespace
{
struct BatchTest : testing::Test
{
  ledger::EncodedEntry entry(TxId txid, std::uint8_t flags = 0)
  {
    return ledger::encode_entry(secrets.at(txid.seqno), txid, flags, {}, {}, "secret");
  }
  static Descriptor describe(Seqno first, Seqno last, const std::string& bytes, const ledger::EncodedEntry& end)
  {
    return {first, last, bytes.size(), end.leaf};
  }
  static void expect_refused(const Descriptor& descriptor, const std::string& bytes, const std::string& why)
  {
    const auto batch = Batch::received(descriptor, bytes);
    ASSERT_FALSE(batch) << why;
    EXPECT_NE(batch.error().describe().find(why), std::string::npos) << batch.error().describe();
  }
  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
};
}

TEST_F(BatchTest, ABatchOfAnotherNodeIsExactlyWhatItsDescriptorSays)
{
  const auto one = entry({3, 7});
  const auto two = entry({3, 8}, ledger::chunk_after);
  const auto bytes = one.bytes + two.bytes;
  const auto good = describe(7, 8, bytes, two);
  const auto batch = Batch::received(good, bytes);
  ASSERT_TRUE(batch) << batch.error().describe();
  EXPECT_EQ((*batch)->signature_txid, (TxId{3, 8}));
  EXPECT_TRUE((*batch)->ends_chunk);
  EXPECT_EQ((*batch)->entries(), (std::vector<std::string_view>{one.bytes, two.bytes}));

  auto wrong = good;
  wrong.length += 1;
  expect_refused(wrong, bytes, "bytes, not");
  wrong = good;
  wrong.first = 6;
  expect_refused(wrong, bytes, "where 6 belongs");
  wrong = good;
  wrong.last = 9;
  expect_refused(wrong, bytes, "ends with entry 8");
  wrong = good;
  wrong.last = 7;
  expect_refused(wrong, bytes, "holds entry 3.8");
  wrong = good;
  wrong.digest[0] ^= 1;
  expect_refused(wrong, bytes, "another entry than it says");
  auto damaged = bytes;
  damaged.back() ^= 1;
  expect_refused(good, damaged, "another entry than it says");
  expect_refused(describe(7, 8, two.bytes + one.bytes, two), two.bytes + one.bytes, "where 7 belongs");
  expect_refused(describe(7, 8, bytes.substr(1), two), bytes.substr(1), "7 to 8");
}

TEST_F(BatchTest, WhoWaitsIsToldOnceWhateverTheReceiverThrows)
{
  int told = 0;
  Waiting waiting(
      1,
      [&](const Result<void>&)
      {
        ++told;
        throw std::runtime_error("the caller is gone");
      });
  waiting.settle({});
  EXPECT_EQ(told, 1);
  EXPECT_DEATH(waiting.settle({}), "told once");
}

TEST_F(BatchTest, AnEncodingThatFailedIsNoEntry)
{
  Waiting failing(1, {});
  failing.failed();
  EXPECT_FALSE(failing.wait());
  Waiting good(1, {});
  good.encoded(entry({2, 1}));
  EXPECT_TRUE(good.wait());
}
}
