#include "node/state_waiters.h"

#include "node/test_support.h"

namespace concordat::node
{
namespace
{
using consensus::TxStatus;
using test::code_of;
using test::endpoint;
using test::FakeExchange;
using test::FakeNode;
using test::header_of;

struct StateWaitersTest : testing::Test
{
  StateWaitersTest()
  {
    node.serve(
        {endpoint(
             "GET", "/read", Mode::read_only,
             [this](Context& context)
             {
               ++runs;
               return Response::text(std::string(*context.state()->get("records", "known")));
             }),
         test::writer(&runs)});
    node.ordering.known = TxStatus::unknown;
  }
  std::shared_ptr<FakeExchange> send(std::string after, std::string method = "GET", std::string path = "/app/read")
  {
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.headers = {{"x-concordat-after", std::move(after)}};
    return node.send(*session, std::move(request));
  }

  FakeNode node;
  std::shared_ptr<http::Session> session = node.session();
  int runs = 0;
};
}

TEST_F(StateWaitersTest, WhatNamesNoTransactionIsRefused)
{
  for (const auto* const wrong : {"", "2", "2.", "0.5", "2.0", "2.5 ", "-2.5", "2.99999999999999999999", "last"})
  {
    const auto exchange = send(wrong);
    ASSERT_TRUE(exchange->answer) << wrong;
    EXPECT_EQ(exchange->answer->status, 400);
    EXPECT_EQ(code_of(*exchange->answer), "InvalidHeaderValue");
  }
  EXPECT_EQ(runs, 0);
}

TEST_F(StateWaitersTest, ATransactionThatNeverWasIsAnError)
{
  node.ordering.known = TxStatus::invalid;
  EXPECT_EQ(send("2.9")->answer->status, 409);
  node.ordering.known = TxStatus::unknown;
  const auto waits = send("2.9");
  EXPECT_FALSE(waits->answer);
  node.ordering.known = TxStatus::invalid;
  node.dispatcher->look();
  EXPECT_EQ(waits->answer->status, 409);
  EXPECT_EQ(code_of(*waits->answer), "TransactionInvalid");
  EXPECT_EQ(runs, 0);
}

TEST_F(StateWaitersTest, NobodyWaitsForEver)
{
  node.ordering.known = TxStatus::pending;
  const auto exchange = send("9.9999");
  node.clock.seconds += 2;
  node.dispatcher->look();
  EXPECT_FALSE(exchange->answer);
  node.clock.seconds += 1;
  node.dispatcher->look();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "TransactionPendingOrUnknown");
  EXPECT_EQ(header_of(*exchange->answer, "retry-after"), "3");
  node.ordering.known = TxStatus::committed;
  node.dispatcher->look();
  EXPECT_EQ(exchange->answers, 1);
  EXPECT_EQ(runs, 0);
}

TEST_F(StateWaitersTest, NoMoreThanSoManyWait)
{
  for (std::size_t i = 0; i < StateWaiters::most; ++i)
    EXPECT_FALSE(send("2.9")->answer);
  EXPECT_EQ(send("2.9")->answer->status, 503);
  node.ordering.known = TxStatus::committed;
  node.dispatcher->look();
  EXPECT_EQ(runs, static_cast<int>(StateWaiters::most));
}

TEST_F(StateWaitersTest, AReadWaitsForWhatItNames)
{
  const auto exchange = send("2.6");
  EXPECT_FALSE(exchange->answer);
  const auto write = node.store.begin_fresh();
  write->put("records", "known", "after");
  ASSERT_TRUE(node.store.commit(*write, {}));
  node.ordering.settle();
  node.ordering.known = TxStatus::committed;
  node.dispatcher->look();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->body, "after");
  EXPECT_EQ(send("2.6")->answer->body, "after") << "at once, if it is there";
}

TEST_F(StateWaitersTest, SoDoesAWrite)
{
  const auto exchange = send("2.6", "POST", "/app/write");
  EXPECT_EQ(runs, 0);
  node.ordering.known = TxStatus::committed;
  node.dispatcher->look();
  node.ordering.settle();
  EXPECT_EQ(exchange->answer->status, 200);
}
}
