#include "ledger/chunks.h"

#include "base/files.h"
#include "ledger/chunk_format.h"
#include "ledger/entry.h"
#include "ledger/test_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>
#include <unistd.h>

namespace concordat::ledger
{
namespace
{
const LedgerSecret secret(std::string(32, 'k'));

std::string make_entry(Seqno seqno, std::uint8_t flags = 0, std::size_t size = 20)
{
  return encode_entry(secret, {2, seqno}, flags, {}, {}, std::string(size, static_cast<char>('a' + seqno % 26))).bytes;
}

class Chunks : public testing::Test
{
protected:
  void open()
  {
    chunks.reset();
    auto opened = ChunkFiles::open(files, "ledger");
    ASSERT_TRUE(opened) << opened.error().describe();
    chunks = std::move(*opened);
  }
  /// Appends the next entries, one for each flags.
  void append(const std::vector<std::uint8_t>& flags)
  {
    std::vector<std::string> bytes;
    for (const auto flag : flags)
      bytes.push_back(make_entry(chunks->last() + 1 + bytes.size(), flag));
    const auto appended = chunks->append({bytes.begin(), bytes.end()});
    ASSERT_TRUE(appended) << appended.error().describe();
  }
  std::vector<std::string> names() const
  {
    return files.list("ledger").value();
  }
  void expect_entries(Seqno last) const
  {
    ASSERT_EQ(chunks->last(), last);
    auto stream = chunks->stream(1);
    for (Seqno seqno = 1; seqno <= last; ++seqno)
    {
      const auto read = chunks->read(seqno);
      ASSERT_TRUE(read) << read.error().describe();
      const auto streamed = stream.next();
      ASSERT_TRUE(streamed) << streamed.error().describe();
      ASSERT_EQ(*streamed, *read);
      const auto entry = parse_entry(*read);
      ASSERT_TRUE(entry && entry->open(secret)) << seqno;
      ASSERT_EQ(entry->txid.seqno, seqno);
    }
    ASSERT_FALSE(stream.next().value());
    const auto beyond = chunks->read(last + 1);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::not_found);
    EXPECT_FALSE(chunks->read(0));
  }
  void expect_refused(ErrorCode code, const std::string& naming)
  {
    const auto before = contents();
    const auto opened = ChunkFiles::open(files, "ledger");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, code);
    EXPECT_NE(opened.error().describe().find(naming), std::string::npos) << opened.error().describe();
    EXPECT_EQ(contents(), before) << "nothing is changed";
  }
  std::vector<std::string> contents() const
  {
    auto all = names();
    for (auto& name : all)
      name += ":" + files.get("ledger/" + name);
    return all;
  }

  MemoryFileSystem files;
  std::unique_ptr<ChunkFiles> chunks;
};

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

TEST_F(Chunks, ATornEntryInACompletedLastChunkOpensItAgain)
{
  open();
  append({0, chunk_after});
  auto bytes = files.get("ledger/ledger_1");
  bytes[8 + make_entry(1).size()] = 9;
  files.put("ledger/ledger_1", bytes);
  open();
  expect_entries(1);
  EXPECT_EQ(files.get("ledger/ledger_1"), std::string(8, '\0') + make_entry(1));
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
  auto opened = ChunkFiles::open(disk, directory + "/ledger");
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
}
