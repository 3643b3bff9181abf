#include "ledger/test_chunks.h"

#include "base/files.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <unistd.h>

namespace concordat::ledger
{
namespace
{
TEST_F(Chunks, AnEmptyDirectoryHoldsNoEntries)
{
  open();
  expect_entries(0);
  EXPECT_EQ(chunks->open_chunk_bytes(), 0U);
  EXPECT_FALSE(chunks->in_committed_file(1));
}

TEST_F(Chunks, AnIncompleteFileIsHeaderZeroAndEntriesToItsEnd)
{
  open();
  append({0, 0});
  EXPECT_EQ(names(), std::vector<std::string>{"ledger_1"});
  EXPECT_EQ(files.get("ledger/ledger_1"), std::string(8, '\0') + make_entry(1) + make_entry(2));
  EXPECT_EQ(chunks->open_chunk_bytes(), 2 * make_entry(1).size());
  expect_entries(2);
}

TEST_F(Chunks, ACompleteFileHasHeaderAndPositionsTable)
{
  open();
  append({0, chunk_after, 0});
  const auto size = make_entry(1).size();
  std::string expected = chunk_header(8 + 2 * size) + make_entry(1) + make_entry(2, chunk_after);
  base::append_le<std::uint32_t>(expected, 8);
  base::append_le<std::uint32_t>(expected, static_cast<std::uint32_t>(8 + size));
  EXPECT_EQ(files.get("ledger/ledger_1"), expected);
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_3"}));
  EXPECT_EQ(chunks->open_chunk_bytes(), size);
  expect_entries(3);
}

TEST_F(Chunks, AnEntryThatBeginsAChunkCompletesTheOneBefore)
{
  open();
  append({0, chunk_before, chunk_before});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_2", "ledger_3"}));
  append({chunk_before | chunk_after, chunk_before});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_2", "ledger_3", "ledger_4", "ledger_5"}));
  expect_entries(5);
  open();
  expect_entries(5);
}

TEST_F(Chunks, CommitRenamesOnlyCompleteFilesThatEndAtOrBelow)
{
  open();
  append({0, chunk_after, 0, chunk_after, 0});
  ASSERT_TRUE(chunks->commit(3));
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1-2.committed", "ledger_3", "ledger_5"}));
  EXPECT_TRUE(chunks->in_committed_file(2));
  EXPECT_FALSE(chunks->in_committed_file(3));
  EXPECT_FALSE(chunks->in_committed_file(0));
  expect_entries(5);
  ASSERT_TRUE(chunks->commit(5));
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1-2.committed", "ledger_3-4.committed", "ledger_5"}));
  expect_entries(5);
  open();
  EXPECT_TRUE(chunks->in_committed_file(4));
  expect_entries(5);
  append({chunk_after});
  ASSERT_TRUE(chunks->commit(6));
  expect_entries(6);
}

TEST_F(Chunks, TruncateCutsFilesAndReopensACompleteOne)
{
  for (Seqno keep = 0; keep <= 7; ++keep)
  {
    files = MemoryFileSystem();
    open();
    append({0, 0, chunk_after, 0, chunk_after, 0, 0});
    ASSERT_TRUE(chunks->truncate(keep));
    expect_entries(keep);
    if (keep == 2)
    {
      EXPECT_EQ(files.get("ledger/ledger_1"), std::string(8, '\0') + make_entry(1) + make_entry(2));
    }
    EXPECT_EQ(names().empty(), keep == 0);
    open();
    expect_entries(keep);
    append({0, chunk_after, 0});
    expect_entries(keep + 3);
    open();
    expect_entries(keep + 3);
  }
}

TEST_F(Chunks, EntriesThatDoNotComeNextAreRefusedWithNothingWritten)
{
  open();
  append({0});
  const auto before = contents();
  const auto refused = [&](const std::vector<std::string_view>& entries)
  {
    const auto appended = chunks->append(entries);
    EXPECT_FALSE(appended);
    EXPECT_EQ(contents(), before);
  };
  const auto second = make_entry(2);
  const auto third = make_entry(3);
  refused({make_entry(1)});
  refused({third});
  refused({second, second});
  refused({""});
  refused({"short"});
  refused({second + "x"});
  refused({std::string_view(second).substr(0, second.size() - 1)});
  append({0, 0});
  expect_entries(3);
}

TEST_F(Chunks, ABatchGoesOutInFewWrites)
{
  open();
  append({0});
  const auto before = files.writes;
  append(std::vector<std::uint8_t>(1000, 0));
  EXPECT_EQ(files.writes - before, 1U);
  expect_entries(1001);
}

TEST_F(Chunks, LargeAndSmallEntriesMixInOneBatch)
{
  open();
  std::vector<std::string> bytes;
  for (const std::size_t size : {10UL, 3UL << 20, 1UL << 20, 5UL, 500000UL, 700000UL, 2UL << 20})
    bytes.push_back(make_entry(bytes.size() + 1, 0, size));
  ASSERT_TRUE(chunks->append({bytes.begin(), bytes.end()}));
  expect_entries(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    EXPECT_EQ(chunks->read(i + 1).value(), bytes[i]);
  open();
  expect_entries(bytes.size());
}

TEST_F(Chunks, AStreamMayBeginAnywhere)
{
  open();
  append({0, chunk_after, 0, chunk_after, 0, 0});
  ASSERT_TRUE(chunks->commit(4));
  for (Seqno from = 0; from <= 7; ++from)
  {
    auto stream = chunks->stream(from);
    for (auto seqno = std::max<Seqno>(from, 1); seqno <= 6; ++seqno)
      ASSERT_EQ(entry_seqno(*stream.next().value()), seqno);
    ASSERT_FALSE(stream.next().value());
  }
}

TEST_F(Chunks, AStreamSeesWhatIsAppendedAfterItsEnd)
{
  open();
  append({0});
  auto stream = chunks->stream(1);
  ASSERT_TRUE(stream.next().value());
  ASSERT_FALSE(stream.next().value());
  append({chunk_after, 0});
  EXPECT_EQ(entry_seqno(*stream.next().value()), 2U);
  EXPECT_EQ(entry_seqno(*stream.next().value()), 3U);
}

TEST_F(Chunks, ReadingACommittedFileWhoseTableWasChangedIsRefused)
{
  open();
  append({0, 0, chunk_after});
  ASSERT_TRUE(chunks->commit(3));
  auto bytes = files.get("ledger/ledger_1-3.committed");
  for (const char byte : {'\0', '\x10', '\x7f', '\xff'})
  {
    bytes[bytes.size() - 8] = byte;
    files.put("ledger/ledger_1-3.committed", bytes);
    open();
    for (const Seqno seqno : {1, 2})
      EXPECT_EQ(chunks->read(seqno).error().code, ErrorCode::corrupt);
    EXPECT_TRUE(chunks->read(3));
    auto stream = chunks->stream(1);
    for (int i = 0; i < 3; ++i)
      EXPECT_TRUE(stream.next()) << "a stream walks the entries, not the table";
  }
}

TEST_F(Chunks, ACommittedEntryWithAnotherSeqnoIsRefusedByReadAndStream)
{
  open();
  append({0, 0, chunk_after});
  ASSERT_TRUE(chunks->commit(3));
  auto bytes = files.get("ledger/ledger_1-3.committed");
  bytes[8 + make_entry(1).size() + 24] = 7;
  files.put("ledger/ledger_1-3.committed", bytes);
  open();
  EXPECT_EQ(chunks->read(2).error().code, ErrorCode::corrupt);
  auto stream = chunks->stream(1);
  EXPECT_TRUE(stream.next());
  EXPECT_EQ(stream.next().error().code, ErrorCode::corrupt);
}

TEST(ChunksOnTheRealDisk, ManyCommittedFilesNeedFewDescriptorsAndAreReadFromAnyThread)
{
  std::string directory = testing::TempDir() + "chunksXXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  base::RealFileSystem disk;
  auto opened = ChunkFiles::open(disk, directory + "/ledger", test_secrets);
  ASSERT_TRUE(opened) << opened.error().describe();
  auto& chunks = **opened;
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<Seqno> synced = 0;
  std::vector<std::thread> readers;
  for (unsigned number = 0; number < 3; ++number)
    readers.emplace_back(
        [&, number]
        {
          std::mt19937 random(number);
          while (!stop)
            if (const Seqno last = synced)
            {
              const auto seqno = 1 + random() % last;
              const auto bytes = chunks.read(seqno);
              wrong += !bytes || entry_seqno(*bytes) != seqno;
              ++reads;
            }
        });
  constexpr Seqno count = 300;
  for (Seqno seqno = 1; seqno <= count; ++seqno)
  {
    const auto entry = make_entry(seqno, seqno % 4 == 0 ? chunk_after : 0);
    ASSERT_TRUE(chunks.append({entry}));
    ASSERT_TRUE(chunks.sync());
    synced = seqno;
    if (seqno % 8 == 0)
    {
      const auto committed = chunks.commit(seqno);
      ASSERT_TRUE(committed) << committed.error().describe();
    }
  }
  while (reads < 1000)
    std::this_thread::yield();
  stop = true;
  for (auto& reader : readers)
    reader.join();
  EXPECT_EQ(wrong, 0U);

  const auto open_files = disk.list("/proc/self/fd").value().size();
  EXPECT_LT(open_files, 60U) << "75 files were written";
  const auto left = disk.list(directory + "/ledger");
  for (const auto& name : *left)
    ASSERT_TRUE(disk.remove(directory + "/ledger/" + name));
  ::rmdir((directory + "/ledger").c_str());
  ::rmdir(directory.c_str());
}
}

TEST_F(Chunks, AChunkEndsBeforeItWouldOutgrowItsPositions)
{
  EXPECT_EQ(max_chunk_end, 0xffffffffU) << "positions are 32 bits wide";
  const auto size = make_entry(1).size();
  limits.end_at_most = chunk_header_size + 5 * size;
  open();
  append({0, 0});
  append({0, 0});
  EXPECT_EQ(names(), std::vector<std::string>{"ledger_1"});
  append({0, 0});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_5"})) << "no batch lies in two files";
  append({0, 0, 0});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_5"})) << "one that just fits does";
  append({0, 0, 0, 0, 0});
  EXPECT_EQ(names(), (std::vector<std::string>{"ledger_1", "ledger_10", "ledger_5"}));
  expect_entries(14);
  ASSERT_TRUE(chunks->sync());
  ASSERT_TRUE(chunks->commit(14));
  open();
  expect_entries(14);
}

TEST_F(Chunks, ABatchThatNoChunkCanHoldIsRefusedWithNothingWritten)
{
  limits.end_at_most = chunk_header_size + 3 * make_entry(1).size();
  open();
  append({0});
  const auto before = contents();
  std::vector<std::string> bytes;
  for (Seqno seqno = 2; seqno < 6; ++seqno)
    bytes.push_back(make_entry(seqno));
  const auto refused = chunks->append({bytes.begin(), bytes.end()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_EQ(contents(), before);
  append({0, 0, 0}); // and the ledger goes on
  expect_entries(4);
}
}
