#include "consensus/disk_writer.h"

#include "base/simulated_files.h"
#include "consensus/test_replica.h"

#include <atomic>
#include <semaphore>

namespace concordat::consensus
{
namespace
{
struct WriterTest : testing::Test, DurableStateFile
{
  Result<void> save(const DurableState& state) override
  {
    saved = state;
    return {};
  }

  std::unique_ptr<DiskWriter> writer(base::Executor* elsewhere, std::function<void()> told = [] {})
  {
    return std::make_unique<DiskWriter>(promises, ledger, elsewhere, std::move(told), &invariants);
  }

  base::SimulatedFileSystem files{5};
  DurableState saved;
  Invariants invariants;
  Promises promises{*this, {}};
  std::shared_ptr<ledger::ChunkFiles> chunks = ledger::ChunkFiles::open(files, "ledger", secrets()).value();
  LedgerWriter ledger{files, "ledger", secrets(), chunks, &invariants};
};

Write write_of(std::uint64_t round)
{
  Write write;
  write.round = round;
  write.batches = {make_batch(2, 2 * (round - 1))};
  return write;
}
}

TEST_F(WriterTest, AThreadWritesAllInOrder)
{
  base::WorkerPool pool({.name = "disk", .threads = 1, .max_jobs = 4});
  std::atomic<int> told = 0;
  constexpr std::uint64_t rounds = 300;
  {
    const auto disk = writer(&pool, [&told] { ++told; });
    for (std::uint64_t round = 1; round <= rounds; ++round)
    {
      disk->write(write_of(round));
      const auto stored = disk->stored();
      ASSERT_TRUE(stored);
      EXPECT_LE(*stored, round);
    }
    while (disk->is_busy())
      std::this_thread::yield();
    EXPECT_EQ(*disk->stored(), rounds);
    EXPECT_EQ(disk->bytes_waiting(), 0U);
  }
  EXPECT_GE(told, 1);
  EXPECT_EQ(chunks->last(), 2 * rounds);
}

TEST_F(WriterTest, NobodyWaitsForADiskThatHangsExceptWhoEndsIt)
{
  base::WorkerPool pool({.name = "disk", .threads = 1, .max_jobs = 4});
  std::binary_semaphore hangs(0);
  std::binary_semaphore goes_on(0);
  files.set_hook(
      [&, first = true](std::string_view operation, const base::Path&) mutable
      {
        if (operation != "sync" || !std::exchange(first, false))
          return;
        hangs.release();
        goes_on.acquire();
      });
  {
    const auto disk = writer(&pool);
    disk->write(write_of(1));
    hangs.acquire();
    const auto steps = disk->steps();
    disk->write(write_of(2));
    disk->write(write_of(3));
    EXPECT_TRUE(disk->is_busy());
    EXPECT_EQ(disk->steps(), steps);
    EXPECT_EQ(*disk->stored(), 0U);
    EXPECT_GT(disk->bytes_waiting(), 0U);
    EXPECT_EQ(promises.written(), DurableState{});
    goes_on.release();
  }
  EXPECT_GE(chunks->last(), 2U) << "what was being written is";
}

TEST_F(WriterTest, WhoeverLooksAtTheStateDoesNotWaitForItsBeingWritten)
{
  std::binary_semaphore hangs(0);
  std::binary_semaphore goes_on(0);
  struct Slow : DurableStateFile
  {
    Result<void> save(const DurableState&) override
    {
      hangs->release();
      goes_on->acquire();
      return {};
    }
    std::binary_semaphore* hangs;
    std::binary_semaphore* goes_on;
  } file;
  file.hangs = &hangs;
  file.goes_on = &goes_on;
  Promises slow(file, {});
  std::thread writes([&] { EXPECT_TRUE(slow.change([](DurableState& state) { state.term = 7; })); });
  hangs.acquire();
  EXPECT_EQ(slow.written().term, 1U) << "it counts once it is written";
  goes_on.release();
  writes.join();
  EXPECT_EQ(slow.written().term, 7U);
}

TEST_F(WriterTest, AStateIsWrittenAfterWhatEarlierRoundsStored)
{
  SlowDisk slow;
  const auto disk = writer(&slow);
  disk->write(write_of(1));
  auto next = write_of(2);
  next.state = DurableState{.term = 3, .vote = 1, .opened = {{3, 2}}, .mark = {}, .several = true};
  disk->write(next);
  std::vector<std::string> operations;
  files.set_hook([&](std::string_view operation, const base::Path&)
                 { operations.push_back(std::string(operation) + (saved.term == 3 ? " after" : " before")); });
  ASSERT_TRUE(slow.work());
  const auto first_after = std::ranges::find_if(operations, [](const auto& one) { return one.ends_with("after"); });
  ASSERT_NE(first_after, operations.begin());
  EXPECT_TRUE((first_after - 1)->starts_with("sync")) << *(first_after - 1);
  EXPECT_FALSE(saved.several) << "only what rounds promise is theirs to change";
  EXPECT_EQ(*disk->stored(), 2U);
}

TEST_F(WriterTest, WhatIsRefusedIsAnError)
{
  struct Stopped : base::Executor
  {
    Result<void> submit(base::Job) override
    {
      return fail(ErrorCode::unavailable, "it stops");
    }
  } stopped;
  const auto disk = writer(&stopped);
  disk->write(write_of(1));
  EXPECT_EQ(disk->stored().error().code, ErrorCode::unavailable);
  EXPECT_FALSE(disk->is_busy());
  disk->drop();
  EXPECT_EQ(*disk->stored(), 0U);
}
}
