#include "consensus/test_sequencer.h"

#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/receipt.h"

#include <thread>

namespace concordat::consensus
{
using namespace std::chrono_literals;

TEST_F(SequencerTest, WritesAreServedOnceTheirBatchIsSignedAndSynced)
{
  start();
  std::optional<bool> first;
  std::optional<bool> second;
  EXPECT_EQ(write("a", "1", first), (TxId{2, 1}));
  EXPECT_EQ(write("b", "2", second), (TxId{2, 2}));
  EXPECT_FALSE(committed("a"));
  EXPECT_EQ(sequencer_->status({2, 1}), TxStatus::pending);
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(first, true);
  EXPECT_EQ(second, true);
  EXPECT_EQ(committed("a"), "1");
  EXPECT_EQ(sequencer_->committed(), (TxId{2, 3}));
  EXPECT_EQ(sequencer_->signature_covering(1).value(), 3U);
  EXPECT_EQ(sequencer_->status({2, 1}), TxStatus::committed);
  EXPECT_FALSE(sequencer_->step()) << "nothing waits";
  files_.crash();
  start();
  EXPECT_EQ(committed("b"), "2");
}

TEST_F(SequencerTest, EveryTermIsHigherAndBeginsWithASignature)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  start();
  EXPECT_EQ(sequencer_->view(), 3U);
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->committed(), (TxId{3, 3}));
  start();
  EXPECT_EQ(sequencer_->view(), 4U) << "a term without entries counts too";
}

TEST_F(SequencerTest, FullDiskRefusesWritesKeepsReadsAndRecoversInANewView)
{
  start();
  std::optional<bool> kept;
  std::optional<bool> lost;
  ASSERT_TRUE(write("kept", "1", kept));
  sequencer_->step();
  files_.fail_next(base::DiskFault::no_space);
  ASSERT_TRUE(write("lost", "1", lost));
  EXPECT_FALSE(sequencer_->step());
  EXPECT_EQ(lost, false);
  EXPECT_EQ(committed("kept"), "1");
  std::optional<bool> refused;
  const auto answer = write("refused", "1", refused);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(sequencer_->step()) << "it waits before it tries again";

  clock_.passed += 2s;
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(sequencer_->view(), 3U);
  std::optional<bool> after;
  ASSERT_TRUE(write("after", "1", after));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(after, true);
  EXPECT_FALSE(committed("lost"));
  files_.crash();
  start();
  EXPECT_EQ(committed("kept"), "1");
  EXPECT_EQ(committed("after"), "1");
  EXPECT_FALSE(committed("lost"));
}

TEST_F(SequencerTest, WhoWaitsBehindAFailedBatchIsToldAtOnce)
{
  start();
  std::optional<bool> first;
  std::optional<bool> behind;
  ASSERT_TRUE(write("first", "1", first));
  // A handler that answers in the middle of the batch's failure queues another transaction.
  bool queued = false;
  files_.set_hook(
      [&](std::string_view operation, const base::Path&)
      {
        if (operation == "write" && !queued)
        {
          queued = true;
          EXPECT_TRUE(write("behind", "1", behind));
        }
      });
  files_.fail_next(base::DiskFault::no_space, 1);
  sequencer_->step();
  EXPECT_TRUE(queued);
  EXPECT_EQ(first, false);
  EXPECT_EQ(behind, false) << "it must not wait for the disk to come back";
  EXPECT_EQ(sequencer_->waiting(), 0U);
}

TEST_F(SequencerTest, FailedSyncIsNeverBelieved)
{
  start();
  std::optional<bool> kept;
  std::optional<bool> doubtful;
  ASSERT_TRUE(write("kept", "1", kept));
  sequencer_->step();
  files_.fail_next(base::DiskFault::sync_error);
  ASSERT_TRUE(write("doubtful", "1", doubtful));
  sequencer_->step();
  EXPECT_EQ(doubtful, false);
  clock_.passed += 2s;
  EXPECT_TRUE(sequencer_->step());
  std::optional<bool> after;
  ASSERT_TRUE(write("after", "1", after));
  EXPECT_TRUE(sequencer_->step());
  files_.crash();
  start();
  EXPECT_EQ(committed("kept"), "1");
  EXPECT_EQ(committed("after"), "1");
}

TEST_F(SequencerTest, NoTermIsOpenedThatCannotBeRemembered)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  files_.fail_next(base::DiskFault::no_space);
  sequencer_->step();
  durable_.fails = true;
  clock_.passed += 2s;
  EXPECT_FALSE(sequencer_->step());
  EXPECT_FALSE(sequencer_->can_write());
  durable_.fails = false;
  clock_.passed += 2s;
  sequencer_->step();
  EXPECT_TRUE(sequencer_->can_write());
}

TEST_F(SequencerTest, TooManyThatWaitAreRefused)
{
  options_.max_uncommitted = 2;
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  ASSERT_TRUE(write("b", "1", outcome));
  const auto refused = write("c", "1", outcome);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  sequencer_->step();
  EXPECT_TRUE(write("c", "1", outcome));
}

TEST_F(SequencerTest, AnswersAboutUncommittedStateWait)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  bool told = false;
  sequencer_->when_committed({2, 1}, [&](const Result<void>& result) { told = result.has_value(); });
  EXPECT_FALSE(told);
  sequencer_->step();
  EXPECT_TRUE(told);
  bool at_once = false;
  sequencer_->when_committed({2, 1}, [&](const Result<void>& result) { at_once = result.has_value(); });
  EXPECT_TRUE(at_once);
}

TEST_F(SequencerTest, AnswerAboutStateThatARepairTookBackIsNeverGiven)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  files_.fail_next(base::DiskFault::no_space);
  ASSERT_TRUE(write("lost", "1", outcome));
  // A handler that only reads began on what will never be committed, and outlives the repair.
  const auto reader = store_->begin_fresh();
  ASSERT_TRUE(reader->has("map", "lost"));
  sequencer_->step();
  EXPECT_EQ(outcome, false);
  clock_.passed += 2s;
  sequencer_->step();
  ASSERT_TRUE(write("another", "1", outcome));
  ASSERT_TRUE(write("one more", "1", outcome));
  sequencer_->step();
  ASSERT_GE(sequencer_->committed().seqno, reader->base()->seqno());
  std::optional<ErrorCode> told;
  sequencer_->when_committed(
      reader->base()->txid(),
      [&](const Result<void>& result)
      {
        ASSERT_FALSE(result);
        told = result.error().code;
      });
  EXPECT_EQ(told, ErrorCode::lost);
}

TEST_F(SequencerTest, DamagedAcknowledgedEntryStopsTheReplay)
{
  start();
  std::optional<bool> outcome;
  for (int i = 0; i < 4; ++i)
  {
    ASSERT_TRUE(write("key" + std::to_string(i), "value", outcome));
    sequencer_->step();
  }
  sequencer_.reset();
  std::uint64_t offsets[9] = {0, 8};
  {
    const auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
    for (Seqno at = 1; at < 8; ++at)
      offsets[at + 1] = offsets[at] + (*chunks)->read(at)->size();
  }
  const auto damage = [&](Seqno seqno, std::uint64_t at)
  {
    auto file = files_.open("ledger/ledger_1", base::OpenMode::read_write);
    auto byte = (*file)->read_at(offsets[seqno] + at, 1);
    (*byte)[0] = static_cast<char>((*byte)[0] ^ 1);
    ASSERT_TRUE((*file)->write_at(offsets[seqno] + at, *byte));
  };
  const auto refusal = [&]() -> std::string
  {
    auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
    if (!chunks)
      return chunks.error().describe();
    const auto replayed = replay(**chunks, secrets_, Trust{key_.public_key(), durable_.saved.mark});
    return replayed ? "" : replayed.error().describe();
  };
  // Byte 50 is part of the seqno, so that the framing breaks; byte 100 is not, so that only the tag does.
  for (const std::uint64_t at : {50, 100})
    for (const Seqno seqno : {1, 3, 6})
    {
      damage(seqno, at);
      const auto said = refusal();
      EXPECT_NE(said.find("entry " + std::to_string(seqno)), std::string::npos) << seqno << ": " << said;
      EXPECT_NE(said.find("acknowledged"), std::string::npos) << said;
      damage(seqno, at);
      EXPECT_EQ(refusal(), "");
    }
  // Byte 1 holds the flags: an entry that seems to end the chunk must not hide what follows.
  for (const Seqno seqno : {1, 2, 5})
  {
    damage(seqno, 1);
    EXPECT_NE(refusal().find("acknowledged"), std::string::npos) << seqno;
    damage(seqno, 1);
  }
  damage(7, 100);
  const auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
  const auto cut = replay(**chunks, secrets_, Trust{key_.public_key(), durable_.saved.mark});
  ASSERT_TRUE(cut) << "the last batch cannot be told from a torn one";
  EXPECT_EQ(cut->cut_entries, 2U);
  EXPECT_EQ(cut->state->seqno(), 6U);
}

TEST_F(SequencerTest, AnEntryThatAnotherOneWasSignedInPlaceOfIsRefused)
{
  start();
  std::optional<bool> outcome;
  for (const auto* const value : {"first", "good", "later"})
  {
    ASSERT_TRUE(write("a", value, outcome));
    sequencer_->step();
  }
  ASSERT_LT(durable_.saved.mark.txid.seqno, 3U) << "what is sealed does not cover it";
  const auto signed_one = sequencer_->read(3).value();
  sequencer_.reset();
  // As whoever has the ledger's secret could make it: it authenticates, and nobody has signed it.
  std::string maps;
  kv::encode({{"map", {{"a", "evil"}}}}, kv::Domain::private_maps, maps);
  const auto forged = ledger::encode_entry(secrets_.at(3), {2, 3}, 0, {}, {}, maps).bytes;
  ASSERT_EQ(forged.size(), signed_one.size());
  auto content = files_.read("ledger/ledger_1").value();
  content.replace(content.find(signed_one), forged.size(), forged);
  ASSERT_TRUE(files_.replace("ledger/ledger_1", content));
  auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
  ASSERT_TRUE(chunks);
  const auto replayed = replay(**chunks, secrets_, Trust{key_.public_key(), durable_.saved.mark});
  ASSERT_FALSE(replayed);
  EXPECT_NE(replayed.error().describe().find("the signed root differs"), std::string::npos)
      << replayed.error().describe();
}

TEST_F(SequencerTest, OlderDurableStateThanTheLedgerIsRefused)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
  const auto replayed = replay(**chunks, secrets_, Trust{key_.public_key(), durable_.saved.mark});
  ASSERT_TRUE(replayed);
  const auto end = log_end(DurableState{}, *replayed);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::corrupt);
  EXPECT_NE(end.error().message.find("put back from an older copy"), std::string::npos) << end.error().message;
}

TEST_F(SequencerTest, ManyThreadsGetTheirAnswersAndReceipts)
{
  start();
  std::thread sequencing([&] { sequencer_->run(); });
  constexpr int threads = 4;
  constexpr int writes = 50;
  std::atomic<int> done{0};
  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t)
    writers.emplace_back(
        [&, t]
        {
          for (int i = 0; i < writes; ++i)
          {
            const auto transaction = store_->begin();
            transaction->put("map", std::to_string(t) + "." + std::to_string(i), "value");
            const auto id = sequencer_->submit(
                *transaction, {},
                [&](const Result<void>& outcome)
                {
                  if (outcome)
                    ++done;
                });
            ASSERT_TRUE(id) << id.error().describe();
          }
        });
  for (auto& writer : writers)
    writer.join();
  sequencer_->stop();
  sequencing.join();
  EXPECT_EQ(done, threads * writes);
  const auto covering = sequencer_->signature_covering(1);
  ASSERT_TRUE(covering && *covering);
  const auto entry = *sequencer_->read(1);
  const auto signature = *sequencer_->read(**covering);
  const auto receipt =
      ledger::make_receipt(*ledger::parse_entry(entry), *ledger::parse_entry(signature), secrets_.at(1));
  ASSERT_TRUE(receipt) << receipt.error().describe();
  EXPECT_EQ(receipt->txid(), (TxId{2, 1}));
}

TEST_F(SequencerTest, HowFarWasCommittedIsSealedAtTheEndOfAChunkNowAndThenAndAtTheEnd)
{
  options_.chunk_size = 3000;
  start();
  std::optional<bool> outcome;
  const auto step = [&](std::size_t bytes)
  {
    ASSERT_TRUE(write("a", std::string(bytes, 'a'), outcome));
    ASSERT_TRUE(sequencer_->step());
  };
  step(1);
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed()) << "the first batch of a term";
  const auto first = durable_.saved.mark;
  step(1);
  EXPECT_EQ(durable_.saved.mark, first) << "not with every batch";
  step(3000);
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed()) << "the end of a chunk";
  step(1);
  EXPECT_NE(durable_.saved.mark.txid, sequencer_->committed());
  clock_.passed += 2s;
  EXPECT_FALSE(sequencer_->step()) << "nothing waits";
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed()) << "now and then";
  step(1);
  EXPECT_NE(durable_.saved.mark.txid, sequencer_->committed());
  sequencer_->stop();
  sequencer_->run();
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed()) << "a clean stop";
  start(); // replay finds the same root at each of them
  EXPECT_GT(sequencer_->view(), first.txid.view);
}

/// Does jobs when it is told to.
class HeldJobs : public base::Executor
{
public:
  Result<void> submit(base::Job job) override
  {
    jobs.push_back(std::move(job));
    return {};
  }
  std::vector<base::Job> jobs;
};

TEST_F(SequencerTest, NobodyWaitsForAMarkThatIsSealedAside)
{
  HeldJobs aside;
  options_.aside = &aside;
  options_.chunk_size = 1000;
  start();
  std::optional<bool> outcome;
  const auto commit = [&]
  {
    outcome.reset();
    ASSERT_TRUE(write("a", std::string(1000, 'a'), outcome));
    ASSERT_TRUE(sequencer_->step());
    ASSERT_EQ(outcome, true);
  };
  commit();
  const auto first = sequencer_->committed();
  EXPECT_EQ(durable_.saved.mark, Mark{});
  ASSERT_EQ(aside.jobs.size(), 1U);
  commit();
  commit();
  ASSERT_EQ(aside.jobs.size(), 1U) << "one at a time";
  aside.jobs[0].run();
  EXPECT_EQ(durable_.saved.mark.txid, first);

  commit();
  ASSERT_EQ(aside.jobs.size(), 2U) << "one was missed, so the next batch has its mark sealed";
  aside.jobs[1].run();
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed());

  commit();
  ASSERT_EQ(aside.jobs.size(), 3U);
  std::thread stopping(
      [&]
      {
        sequencer_->stop();
        sequencer_->run();
      });
  const auto older = sequencer_->committed();
  aside.jobs[2].refuse(base::Refusal::stopping);
  stopping.join();
  EXPECT_EQ(durable_.saved.mark.txid, older) << "a clean stop seals what was not";
}

TEST_F(SequencerTest, AMarkThatCannotBeSealedStopsNothing)
{
  start();
  durable_.fails = true;
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  EXPECT_TRUE(sequencer_->step());
  EXPECT_EQ(outcome, true);
  EXPECT_EQ(durable_.saved.mark, Mark{});
  durable_.fails = false;
  clock_.passed += 2s;
  sequencer_->step();
  EXPECT_EQ(durable_.saved.mark.txid, sequencer_->committed());
}

TEST_F(SequencerTest, ARepairGoesOnOnlyAfterWhatWasCommitted)
{
  start();
  std::optional<bool> outcome;
  ASSERT_TRUE(write("a", "1", outcome));
  sequencer_->step();
  const auto older = files_.read("ledger/ledger_1").value();
  ASSERT_TRUE(write("b", "1", outcome));
  sequencer_->step();
  const auto newer = files_.read("ledger/ledger_1").value();

  files_.fail_next(base::DiskFault::no_space);
  ASSERT_TRUE(write("lost", "1", outcome));
  EXPECT_FALSE(sequencer_->step());
  auto other = newer;
  other.back() ^= 1; // the tree in the last signature
  for (const auto& put_back : {older, other})
  {
    ASSERT_TRUE(files_.replace("ledger/ledger_1", put_back));
    clock_.passed += 2s;
    EXPECT_FALSE(sequencer_->step());
    EXPECT_FALSE(sequencer_->can_write());
    EXPECT_EQ(files_.read("ledger/ledger_1").value(), put_back) << "nothing is written behind it";
  }
  ASSERT_TRUE(files_.replace("ledger/ledger_1", newer));
  clock_.passed += 2s;
  EXPECT_TRUE(sequencer_->step());
}
}
