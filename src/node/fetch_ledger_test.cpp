#include "node/fetch_ledger.h"

#include "base/simulated_files.h"
#include "node/test_join.h"

#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
class FetchLedger : public testing::Test
{
protected:
  Result<consensus::Mark> fetch(std::size_t piece = 7)
  {
    test::FakeClient client(
        {},
        [&](const test::Asked& asked)
        {
          targets.push_back(asked.method + " " + asked.target);
          return answer;
        },
        piece);
    return fetch_ledger(client, receiver);
  }
  void expect_corrupt(const Result<consensus::Mark>& fetched)
  {
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.error().code, ErrorCode::corrupt) << fetched.error().describe();
  }
  void expect_whole()
  {
    ASSERT_EQ(chunks->last(), service.tree.size() - 1);
    for (Seqno seqno = 1; seqno <= chunks->last(); ++seqno)
      EXPECT_EQ(chunks->read(seqno), service.entries[seqno - 1]);
  }

  test::ServiceToJoin service;
  base::SimulatedFileSystem files{5};
  std::unique_ptr<ledger::ChunkFiles> chunks = ledger::ChunkFiles::open(files, "ledger", service.secrets).value();
  EntryReceiver receiver{*chunks};
  Response answer = service.ledger(1);
  std::vector<std::string> targets;
};
}

TEST_F(FetchLedger, TheWholeLedgerIsOnTheDiskInTheEnd)
{
  service.add(ledger::chunk_after);
  service.add(0, 100'000);
  service.view = 3;
  service.add();
  answer = service.ledger(1);
  const auto end = fetch(1000);
  ASSERT_TRUE(end) << end.error().describe();
  EXPECT_EQ(*end, service.end());
  EXPECT_EQ(targets, std::vector<std::string>{"GET /node/concordat/entries?from=1"});
  EXPECT_TRUE(chunks->in_committed_file(6));
  files.crash();
  chunks = ledger::ChunkFiles::open(files, "ledger", service.secrets).value();
  expect_whole();
}

TEST_F(FetchLedger, PiecesMayBeCutAnywhere)
{
  for (const std::size_t piece : {1, 8, 63, 64, 65, 100'000})
  {
    base::SimulatedFileSystem others{6};
    const auto into = ledger::ChunkFiles::open(others, "ledger", service.secrets).value();
    EntryReceiver fresh(*into);
    test::FakeClient client({}, [&](const test::Asked&) { return service.ledger(1); }, piece);
    ASSERT_TRUE(fetch_ledger(client, fresh)) << piece;
    EXPECT_EQ(into->last(), 5U);
  }
}

TEST_F(FetchLedger, AfterABrokenConnectionItGoesOn)
{
  const auto cut = service.entries[0].size() + service.entries[1].size() + 9; // within the third
  answer.body.resize(cut);
  answer.status = 0;
  const auto broken = fetch();
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::unavailable);
  answer = service.ledger(3);
  const auto end = fetch();
  ASSERT_TRUE(end) << end.error().describe();
  EXPECT_EQ(targets.back(), "GET /node/concordat/entries?from=3");
  expect_whole();
}

TEST_F(FetchLedger, AnAnswerThatEndsEarlyIsNoWholeLedger)
{
  answer.body = service.bytes(1).substr(0, service.entries[0].size());
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::unavailable) << "the rest may be asked for";
  answer = service.ledger(2);
  EXPECT_TRUE(fetch());
}

TEST_F(FetchLedger, TheLedgerMayHaveGrownMeanwhile)
{
  answer.body.resize(service.entries[0].size());
  answer.status = 0;
  ASSERT_FALSE(fetch());
  service.add();
  answer = service.ledger(2);
  const auto end = fetch();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->txid.seqno, 6U);
  expect_whole();
}

TEST_F(FetchLedger, WhatIsNoEntryIsRefused)
{
  for (const auto& garbage :
       {std::string(100, '\0'), std::string(100, '\xff'), std::string("HTTP/1.1 200 OK and a lot more text"),
        service.entries[0].substr(1)})
  {
    base::SimulatedFileSystem others{6};
    const auto into = ledger::ChunkFiles::open(others, "ledger", service.secrets).value();
    EntryReceiver fresh(*into);
    test::FakeClient client(
        {},
        [&](const test::Asked&)
        {
          auto response = service.ledger(1);
          response.body = garbage;
          return response;
        });
    const auto fetched = fetch_ledger(client, fresh);
    EXPECT_FALSE(fetched);
    EXPECT_EQ(into->last(), 0U);
  }
}

TEST_F(FetchLedger, EntriesThatDoNotFollowEachOtherAreRefused)
{
  answer.body = service.entries[0] + service.entries[2];
  expect_corrupt(fetch());
  EXPECT_LE(chunks->last(), 1U);
}

TEST_F(FetchLedger, AnotherBeginningThanWasAskedForIsRefused)
{
  answer.body = service.bytes(2);
  expect_corrupt(fetch());
  EXPECT_EQ(chunks->last(), 0U);
}

TEST_F(FetchLedger, AViewThatGoesBackIsRefused)
{
  service.view = 1;
  service.add();
  answer = service.ledger(1);
  expect_corrupt(fetch());
}

TEST_F(FetchLedger, AnotherLedgerThanThatOfTheRootIsRefused)
{
  test::ServiceToJoin other;
  answer.body = other.bytes(1);
  expect_corrupt(fetch());
}

TEST_F(FetchLedger, MoreThanWasPromisedIsRefused)
{
  service.add();
  answer.body = service.bytes(1);
  expect_corrupt(fetch());
}

TEST_F(FetchLedger, HalfAnEntryBehindTheEndIsRefused)
{
  answer.body += service.entries[0].substr(0, 30);
  expect_corrupt(fetch());
}

TEST_F(FetchLedger, WithoutAnEndItIsNoLedger)
{
  const auto good = answer.headers;
  for (const auto& headers :
       {Headers{}, Headers{good[0]}, Headers{good[1]}, Headers{{"x-concordat-committed", "0.0"}, good[1]},
        Headers{good[0], {"x-concordat-root", "00"}}, Headers{good[0], {"x-concordat-root", "no"}}})
  {
    base::SimulatedFileSystem others{6};
    const auto into = ledger::ChunkFiles::open(others, "ledger", service.secrets).value();
    EntryReceiver fresh(*into);
    test::FakeClient client(
        {},
        [&](const test::Asked&)
        {
          auto response = service.ledger(1);
          response.headers = headers;
          return response;
        });
    expect_corrupt(fetch_ledger(client, fresh));
  }
}

TEST_F(FetchLedger, ANodeThatCannotAnswerIsAskedAgain)
{
  answer = Response::error(503, "InternalError", "This node is starting");
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::unavailable);
  answer = service.ledger(1);
  EXPECT_TRUE(fetch());
}

TEST_F(FetchLedger, AFullDiskIsSaid)
{
  files.fail_next(base::DiskFault::no_space);
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::no_space);
}
}
