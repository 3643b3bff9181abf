#include "ledger/test_chunks.h"
#include "ledger/test_service.h"

namespace concordat::ledger
{
namespace
{
TEST_F(Chunks, ATornTailIsCutAtOpenAndSaid)
{
  open();
  append({0, chunk_after, 0, 0});
  const auto good = files.get("ledger/ledger_3");
  const auto next = make_entry(5);
  for (std::size_t size = 1; size < next.size(); ++size)
  {
    files.put("ledger/ledger_3", good + next.substr(0, size));
    open();
    EXPECT_EQ(chunks->opened().cut_bytes, size);
    EXPECT_EQ(chunks->opened().cut_file, "ledger_3");
    ASSERT_EQ(chunks->last(), 4U);
    ASSERT_EQ(files.get("ledger/ledger_3"), good);
  }
  files.put("ledger/ledger_3", good + std::string(4096, '\0'));
  open();
  expect_entries(4);
}

TEST_F(Chunks, DamageBeforeAcknowledgedTransactionsIsNoTornTail)
{
  TestService service;
  const LedgerSecrets own(service.secret);
  secrets = &own;
  service.create();
  std::vector<Seqno> signatures;
  for (int batch = 0; batch < 3; ++batch)
  {
    service.write_something();
    signatures.push_back(service.next().seqno);
    service.sign();
    service.tree.flush(signatures.back()); // acknowledged before the next batch is signed
  }
  const auto good = service.chunk(1, service.entries.size(), false);
  std::size_t at = 8;
  for (Seqno seqno = 1; seqno <= service.entries.size(); ++seqno)
  {
    auto damaged = good;
    damaged[at] = '\x7f';
    files.put("ledger/ledger_1", damaged);
    // Damage in the last batch cannot be told from a tear: nothing shows that anybody was answered.
    if (seqno <= signatures[1])
      expect_refused(ErrorCode::corrupt, "entry " + std::to_string(seqno) + " is damaged");
    else
    {
      open();
      EXPECT_EQ(chunks->last(), seqno - 1);
      EXPECT_EQ(chunks->opened().cut_bytes, good.size() - at);
    }
    at += service.entry(seqno).size();
  }
}

TEST_F(Chunks, OnlyASignatureUnderTheOwnSecretTellsDamageFromATornTail)
{
  TestService service;
  service.create();
  for (int batch = 0; batch < 3; ++batch)
  {
    service.write_something();
    const auto seqno = service.next().seqno;
    service.sign();
    service.tree.flush(seqno);
  }
  auto damaged = service.chunk(1, service.entries.size(), false);
  damaged[8 + service.entry(1).size()] = '\x7f';
  files.put("ledger/ledger_1", damaged);
  const LedgerSecrets own(service.secret);
  secrets = &own;
  expect_refused(ErrorCode::corrupt, "entry 2 is damaged");
  secrets = &test_secrets; // as if a value in the tail only looked like a signature
  open();
  EXPECT_EQ(chunks->last(), 1U);
}

TEST_F(Chunks, AFileWithoutAWholeEntryIsRemoved)
{
  open();
  append({chunk_after});
  for (const std::size_t size : {0UL, 5UL, 8UL, 30UL})
  {
    files.put("ledger/ledger_2", (std::string(8, '\0') + make_entry(2)).substr(0, size));
    open();
    EXPECT_FALSE(files.exists("ledger/ledger_2"));
    expect_entries(1);
    EXPECT_FALSE(chunks->opened().notes.empty());
  }
  append({0});
  expect_entries(2);
}

TEST_F(Chunks, AFileThatBeginsWithGarbageIsRemovedUnlessItMayHaveBeenCompleted)
{
  open();
  append({chunk_after});
  const auto garbage = std::string("\1\0\x1d\x79\x57\x69\0\0", 8) + "what a crash leaves";
  files.put("ledger/ledger_2", garbage);
  open();
  EXPECT_FALSE(files.exists("ledger/ledger_2"));
  EXPECT_EQ(chunks->opened().cut_bytes, garbage.size() - 8);
  expect_entries(1);

  files.put("ledger/ledger_2", chunk_header(4000) + make_entry(2).substr(0, 30));
  expect_refused(ErrorCode::corrupt, "it was completed");
}

TEST_F(Chunks, AChunkWhoseCompletionWasTornIsCompletedAtOpen)
{
  open();
  append({0, chunk_after});
  const auto good = files.get("ledger/ledger_1");
  const auto end = 8 + 2 * make_entry(1).size();
  std::vector<std::string> torn;
  for (std::size_t size = end; size < good.size(); ++size)
  {
    torn.push_back(good.substr(0, size));                       // header there, table torn
    torn.push_back(chunk_header(0) + good.substr(8, size - 8)); // no header either
  }
  torn.push_back(chunk_header(0) + good.substr(8));
  torn.push_back(chunk_header(77) + good.substr(8));
  torn.push_back(good + "tail");
  for (const auto& bytes : torn)
  {
    files.put("ledger/ledger_1", bytes);
    open();
    ASSERT_EQ(files.get("ledger/ledger_1"), good);
    EXPECT_EQ(chunks->open_chunk_bytes(), 0U);
    expect_entries(2);
  }
  append({0});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_3"}));
}

TEST_F(Chunks, AChunkThatAnotherFollowsIsCompletedAtOpenWhateverItsLastEntrySays)
{
  const auto first = make_entry(1);
  const auto second = make_entry(2);
  const auto end = chunk_header_size + first.size() + second.size();
  files.put("ledger/ledger_1", chunk_header(0) + first + second);
  files.put("ledger/ledger_3", chunk_header(0) + make_entry(3));
  open();
  const std::vector<std::uint32_t> positions{8, static_cast<std::uint32_t>(8 + first.size())};
  EXPECT_EQ(files.get("ledger/ledger_1"), chunk_header(end) + first + second + positions_table(positions));
  ASSERT_TRUE(chunks->commit(2));
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1-2.committed", "ledger_3"}));
}

TEST_F(Chunks, ATornTableUnderAnEntryThatEndsNoChunkLeavesTheChunkOpen)
{
  open();
  append({0, 0});
  const auto good = files.get("ledger/ledger_1");
  files.put("ledger/ledger_1", chunk_header(good.size()) + good.substr(8) + std::string("\x08\0\0", 3));
  open();
  EXPECT_EQ(files.get("ledger/ledger_1"), good);
  expect_entries(2);
}

TEST_F(Chunks, ADamagedEntryInACompletedChunkIsRefused)
{
  open();
  append({0, chunk_after});
  auto bytes = files.get("ledger/ledger_1");
  bytes[8 + make_entry(1).size()] = 9;
  files.put("ledger/ledger_1", bytes);
  expect_refused(ErrorCode::corrupt, "it was completed");
  files.put("ledger/ledger_1", bytes.substr(0, 60));
  expect_refused(ErrorCode::corrupt, "it was completed");
}

TEST_F(Chunks, NamesAreHandledAsTheSheetSays)
{
  open();
  append({chunk_after, chunk_after, 0});
  ASSERT_TRUE(chunks->commit(2));
  files.put("ledger/ledger_2", files.get("ledger/ledger_2-2.committed"));
  files.put("ledger/ledger_3.ignored", "anything");
  files.put("ledger/ledger_3.recovery", "anything");
  files.put("ledger/ledger_3.rewrite.ignored", "left by a crash");
  files.put("ledger/ledger_x", "anything");
  files.put("ledger/lock", "anything");
  open();
  expect_entries(3);
  EXPECT_EQ(
      names(), (std::vector<std::string>{
                   "ledger_1-1.committed", "ledger_2-2.committed", "ledger_2.ignored", "ledger_3", "ledger_3.ignored",
                   "ledger_3.recovery.ignored", "ledger_x", "lock"}));
}

TEST_F(Chunks, AnUncommittedFileWithARangeIsTakenOverUnderItsPlainName)
{
  open();
  append({0, chunk_after, 0});
  ASSERT_TRUE(files.rename("ledger/ledger_1", "ledger/ledger_1-2"));
  open();
  expect_entries(3);
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_3"}));
}

TEST_F(Chunks, DamagedCommittedFilesAreRefusedAndLeftAsTheyAre)
{
  open();
  append({0, 0, chunk_after, 0});
  ASSERT_TRUE(chunks->commit(3));
  const std::string name = "ledger_1-3.committed";
  const auto good = files.get("ledger/" + name);
  const auto table = 8 + 3 * make_entry(1).size();
  const auto refused = [&](std::string bytes)
  {
    files.put("ledger/" + name, std::move(bytes));
    expect_refused(ErrorCode::corrupt, name);
  };
  const auto with = [&](std::size_t at, char byte)
  {
    auto bytes = good;
    bytes[at] = byte;
    return bytes;
  };
  refused("");
  refused(good.substr(0, 7));
  refused(chunk_header(0) + good.substr(8));
  refused(chunk_header(8) + good.substr(8));
  refused(chunk_header(table + 4) + good.substr(8));
  refused(chunk_header(~std::uint64_t{0}) + good.substr(8));
  refused(good.substr(0, good.size() - 1));
  refused(good.substr(0, good.size() - 4));
  refused(good + std::string(4, '\0'));
  refused(with(table, 9));
  refused(with(good.size() - 4, 0));
  refused(with(good.size() - 1, 1));
  refused(with(table - make_entry(1).size(), 2));
  refused(with(table - make_entry(1).size() + 24, 2));
  files.put("ledger/" + name, good);
  open();
  expect_entries(4);
}

TEST_F(Chunks, FilesThatDoNotFollowEachOtherAreRefused)
{
  open();
  append({chunk_after, chunk_after, chunk_after, 0});
  ASSERT_TRUE(chunks->commit(2));
  const auto complete = files.get("ledger/ledger_3");
  ASSERT_TRUE(files.remove("ledger/ledger_3"));
  expect_refused(ErrorCode::corrupt, "transaction 3 is expected");
  files.put("ledger/ledger_3", complete.substr(0, 40));
  expect_refused(ErrorCode::corrupt, "ledger_3");
  files.put("ledger/ledger_3", complete);
  const auto second = files.get("ledger/ledger_2-2.committed");
  ASSERT_TRUE(files.remove("ledger/ledger_2-2.committed"));
  expect_refused(ErrorCode::corrupt, "transaction 2 is expected");
  files.put("ledger/ledger_2-2.committed", second);
  files.put("ledger/ledger_2-3.committed", second);
  expect_refused(ErrorCode::corrupt, "ledger_2-3.committed");
  ASSERT_TRUE(files.remove("ledger/ledger_2-3.committed"));
  files.put("ledger/ledger_1", std::string(8, '\0') + make_entry(1) + make_entry(2) + make_entry(3));
  expect_refused(ErrorCode::corrupt, "ledger_1");
  ASSERT_TRUE(files.remove("ledger/ledger_1"));
  open();
  expect_entries(4);
}

TEST_F(Chunks, ALedgerThatDoesNotBeginAtOneIsRefused)
{
  files.put("ledger/ledger_5", std::string(8, '\0') + make_entry(5));
  expect_refused(ErrorCode::corrupt, "transaction 1 is expected");
}
}

TEST_F(Chunks, LessThanWasCommittedIsRefusedNamingTheFirstThatIsMissing)
{
  open();
  append({0, chunk_after, 0, 0});
  limits.acknowledged = 4;
  open();
  expect_entries(4);
  const auto whole = files.get("ledger/ledger_3");
  files.put("ledger/ledger_3", whole.substr(0, whole.size() - 1));
  expect_refused(ErrorCode::not_found, "lacks transaction 4 ");
  files.put("ledger/ledger_3", whole.substr(0, 8));
  expect_refused(ErrorCode::not_found, "lacks transaction 3 ");
  chunks.reset();
  ASSERT_TRUE(files.remove("ledger/ledger_3"));
  expect_refused(ErrorCode::not_found, "lacks transaction 3 ");
  ASSERT_TRUE(files.remove("ledger/ledger_1"));
  expect_refused(ErrorCode::not_found, "lacks transaction 1 ");
  limits.acknowledged = 0;
  open();
  expect_entries(0);
}

TEST_F(Chunks, ATornTailBeyondWhatWasCommittedIsStillCut)
{
  open();
  append({0, 0, 0});
  const auto whole = files.get("ledger/ledger_1");
  files.put("ledger/ledger_1", whole.substr(0, whole.size() - 1));
  limits.acknowledged = 2;
  open();
  expect_entries(2);
}
}
