#include "node/forwarding_test_support.h"

namespace concordat::node
{
namespace
{
using test::code_of;
using test::ForwardingTest;
using test::txid_of;
using test::writer;
}

TEST_F(ForwardingTest, AWriteOnABackupRunsOnThePrimaryOnce)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write", "value");
  EXPECT_FALSE(exchange->answer) << "it waits for the primary, and no thread with it";
  EXPECT_EQ(primary.pool.jobs.size(), 1U) << "the thread of the channel does not run it";
  work();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 200);
  EXPECT_EQ(exchange->answer->body, "written");
  EXPECT_EQ(txid_of(*exchange->answer), "2.6");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(primary.stored("k"), "value");
  EXPECT_EQ(backup.ordering.submissions, 0);
}

TEST_F(ForwardingTest, ThePrimaryAuthenticatesTheCallerItself)
{
  const auto member = backup.session(&primary.member);
  auto exchange = backup.send(*member, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 200);
  EXPECT_EQ(primary.stored("by"), primary.member.id());

  const auto stranger = backup.session(&backup.member); // whom the backup knows, and the primary does not
  exchange = backup.send(*stranger, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 401);
  const auto nobody = backup.session();
  exchange = backup.send(*nobody, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 401);
  EXPECT_EQ(primary.ordering.submissions, 1);
}

TEST_F(ForwardingTest, ReadsStayUntilTheSessionHasBeenForwarded)
{
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "GET", "/app/read")->answer->body, "before");
  EXPECT_EQ(requests, 0);
  backup.send(*session, "POST", "/app/write");
  work();
  const auto read = backup.send(*session, "GET", "/app/read");
  EXPECT_EQ(requests, 2);
  work();
  EXPECT_EQ(read->answer->status, 200);
  const auto other = backup.session();
  EXPECT_EQ(backup.send(*other, "GET", "/app/read")->answer->body, "before");
  EXPECT_EQ(requests, 2) << "another session is another matter";
}

TEST_F(ForwardingTest, WhatIsNeverForwardedStays)
{
  auto never = writer(&runs);
  never.forwarding = Forwarding::never;
  for (auto* const node : {&backup, &primary})
    node->serve({never});
  const auto session = backup.session();
  backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(backup.ordering.submissions, 1);
}

TEST_F(ForwardingTest, NothingIsForwardedAgain)
{
  primary.ordering.writes = false; // it leads no longer
  const auto session = backup.session();
  auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "RequestAlreadyForwarded");
  primary.ordering.writes = true;
  primary.ordering.in_view = 3; // or leads another time
  exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "RequestAlreadyForwarded");
  EXPECT_EQ(runs, 0);
}

TEST_F(ForwardingTest, AViewThatEndsBeforeTheHandlerRunsIsALostSession)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  primary.ordering.in_view = 3;
  work();
  EXPECT_EQ(exchange->answer->status, 500);
  EXPECT_EQ(code_of(*exchange->answer), "SessionConsistencyLost");
  EXPECT_TRUE(exchange->closed);
  EXPECT_EQ(primary.ordering.submissions, 0);
}

TEST_F(ForwardingTest, AForwardedRequestIsNeverSentTwice)
{
  cut = true;
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  cut = false;
  backup.clock.seconds += 3;
  forwarder.look();
  forwarder.look();
  EXPECT_EQ(exchange->answer->status, 504);
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(runs, 0);
}

TEST_F(ForwardingTest, AnInterfaceSaysHowLongToWait)
{
  backup.configuration.interfaces[0].forwarding_timeout = std::chrono::milliseconds(10'000);
  cut = true;
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  backup.clock.seconds += 9;
  forwarder.look();
  EXPECT_FALSE(exchange->answer);
  backup.clock.seconds += 1;
  forwarder.look();
  EXPECT_EQ(exchange->answer->status, 504);
}

TEST_F(ForwardingTest, WhatIsWrongIsSaidHere)
{
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "POST", "/app/unknown")->answer->status, 404);
  EXPECT_EQ(backup.send(*session, "PUT", "/app/write")->answer->status, 405);
  backup.open = false;
  EXPECT_EQ(backup.send(*session, "POST", "/app/write")->answer->status, 404);
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, ASessionThatHasSeenAnotherViewIsLost)
{
  const auto session = backup.session();
  backup.send(*session, "GET", "/app/read");
  backup.ordering.in_view = 3;
  const auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(code_of(*exchange->answer), "SessionConsistencyLost");
  EXPECT_TRUE(exchange->closed);
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, ANodeThatIsAloneForwardsNothing)
{
  backup.ordering.agreed = {
      .view = 2, .self = 1, .leader = 0, .primary = false, .configuration = {.voters = {1}}, .progress = {}};
  backup.ordering.refusals = {ErrorCode::unavailable};
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "TransactionReplicationFailed");
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, WithoutAForwarderItSaysSo)
{
  backup.services.forwarder = nullptr;
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "POST", "/app/write")->answer->status, 500);
}

TEST_F(ForwardingTest, GarbageOfAnotherNodeRunsNothing)
{
  for (const auto* const bytes : {"", "garbage", "\x01\x02\x03"})
    received.take({"backup", peer::Lane::bulk, 2, bytes, nullptr});
  EXPECT_TRUE(primary.pool.jobs.empty());
}

TEST_F(ForwardingTest, ARequestThatIsDroppedIsAnsweredAllTheSame)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  primary.pool.jobs.clear();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 500);
}

TEST_F(ForwardingTest, AWriteThatIsNotAgreedOnInTimeIsToldItsTransaction)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write", "value");
  primary.pool.take().run(); // it has its place, and nobody agrees
  backup.clock.seconds += 10;
  forwarder.look();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 504);
  EXPECT_EQ(txid_of(*exchange->answer), "2.6");
}

TEST_F(ForwardingTest, AWriteThatIsSentAgainThroughAnotherNodeIsDoneOnce)
{
  Request request;
  request.method = "POST";
  request.path = "/app/guarded";
  request.headers = {{"x-concordat-request-id", "one"}};
  const auto session = backup.session(&primary.member);
  cut = false;
  const auto first = backup.send(*session, request);
  primary.pool.take().run();
  cut = true; // the answer is lost
  primary.ordering.settle();
  backup.clock.seconds += 10;
  forwarder.look();
  EXPECT_EQ(first->answer->status, 504);
  cut = false;
  const auto other = primary.session(&primary.member);
  const auto again = primary.send(*other, request);
  work();
  EXPECT_EQ(again->answer->status, 200);
  EXPECT_EQ(again->answer->body, "written");
  EXPECT_TRUE(txid_of(*again->answer).ends_with(".6"));
  EXPECT_EQ(primary.ordering.submissions, 1);
}
}
