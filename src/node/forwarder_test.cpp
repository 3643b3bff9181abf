#include "node/forwarder.h"

#include "node/test_support.h"

namespace concordat::node
{
namespace
{
using std::chrono::milliseconds;
using test::code_of;
using test::FakeExchange;

constexpr milliseconds patience{3000};

std::string joined(const peer::Payload& payload)
{
  std::string out;
  for (const auto piece : payload.pieces())
    out += piece;
  return out;
}

struct ForwarderTest : testing::Test
{
  struct Sent
  {
    peer::NodeId to;
    ForwardedRequest request;
  };

  std::shared_ptr<FakeExchange> forward(std::string body = "body", std::string method = "POST")
  {
    Request request;
    request.method = std::move(method);
    request.path = "/app/write";
    request.query = "a=b c";
    request.headers = {{"x-one", "1"}, {"x-two", ""}};
    request.body = std::move(body);
    auto exchange = std::make_shared<FakeExchange>(std::move(request), session);
    forwarder.forward(exchange, 2, patience);
    return exchange;
  }
  static peer::Received answer(std::uint64_t id, int status, const std::string& text, std::string from = "primary")
  {
    auto payload = ForwardedAnswer{id, false, Response::text(text, status)}.encode();
    return {std::move(from), peer::Lane::bulk, 3, joined(*payload), nullptr};
  }
  void advance(int seconds)
  {
    clock.seconds += seconds;
    forwarder.look();
  }

  test::FakeClock clock;
  http::Session session;
  std::vector<Sent> sent;
  bool takes = true;
  std::function<void()> while_sending;
  std::optional<Forwarder::Primary> primary = Forwarder::Primary{"primary", 2};
  bool leads = false;
  Forwarder forwarder{
      {.send =
           [this](const peer::NodeId& to, PeerMessage kind, const peer::Payload& payload)
       {
         EXPECT_EQ(kind, PeerMessage::forwarded_request);
         auto request = ForwardedRequest::decode(joined(payload));
         EXPECT_TRUE(request);
         sent.push_back({to, std::move(*request)});
         if (while_sending)
           while_sending();
         return takes;
       },
       .primary = [this] { return primary; },
       .leads = [this] { return leads; },
       .max_waiting = 3},
      clock};
};
}

TEST_F(ForwarderTest, ThePrimaryGetsTheRequestAsItCameWithTheCallersCertificate)
{
  session.client_certificate = "a certificate";
  const auto exchange = forward();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].to, "primary");
  const auto& [id, view, certificate, request] = sent[0].request;
  EXPECT_EQ(view, 2U);
  EXPECT_EQ(certificate, "a certificate");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/app/write");
  EXPECT_EQ(request.query, "a=b c");
  EXPECT_EQ(request.headers, (Headers{{"x-one", "1"}, {"x-two", ""}}));
  EXPECT_EQ(request.body, "body");
  EXPECT_TRUE(session.forwarded);
  EXPECT_FALSE(exchange->answer);

  auto response = Response::error(418, "Teapot", "as it came");
  response.headers.emplace_back("x-ms-ccf-transaction-id", "2.7");
  auto payload = ForwardedAnswer{id, true, response}.encode();
  forwarder.take({"primary", peer::Lane::bulk, 3, joined(*payload), nullptr});
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 418);
  EXPECT_EQ(exchange->answer->headers, response.headers);
  EXPECT_EQ(exchange->answer->body, response.body);
  EXPECT_TRUE(exchange->closed);
  EXPECT_EQ(forwarder.waiting(), 0U);
}

TEST_F(ForwarderTest, WhoWaitedForAnotherOneIsToldAsSoonAsThisNodeLeads)
{
  const auto exchange = forward();
  primary.reset();
  forwarder.look();
  EXPECT_FALSE(exchange->answer) << "while nobody leads, the one that was asked may still answer";
  leads = true;
  forwarder.look();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(forwarder.waiting(), 0U);
}

TEST_F(ForwarderTest, AnAnswerMayComeBeforeSendingReturns)
{
  while_sending = [this] { forwarder.take(answer(sent.back().request.id, 200, "fast")); };
  takes = false; // and what sending says then counts no more
  const auto exchange = forward();
  EXPECT_EQ(exchange->answers, 1);
  EXPECT_EQ(exchange->answer->body, "fast");
}

TEST_F(ForwarderTest, EachIsAnsweredOnceAndByWhomItAskedAlone)
{
  const auto one = forward();
  const auto two = forward();
  ASSERT_NE(sent[0].request.id, sent[1].request.id);
  forwarder.take(answer(sent[1].request.id, 200, "stolen", "somebody else"));
  EXPECT_FALSE(two->answer);
  forwarder.take(answer(sent[1].request.id, 200, "second"));
  forwarder.take(answer(sent[1].request.id, 200, "again"));
  forwarder.take(answer(sent[1].request.id + 7, 200, "nobody's"));
  forwarder.take({"primary", peer::Lane::bulk, 3, "garbage", nullptr});
  EXPECT_EQ(two->answers, 1);
  EXPECT_EQ(two->answer->body, "second");
  EXPECT_FALSE(one->answer);
}

TEST_F(ForwarderTest, NothingIsSentTwiceAndATimeOutSaysThatNothingIsKnown)
{
  const auto exchange = forward();
  advance(2);
  EXPECT_FALSE(exchange->answer);
  advance(1);
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 504);
  EXPECT_EQ(find_header(exchange->answer->headers, "content-type"), "text/plain");
  EXPECT_EQ(sent.size(), 1U);
  forwarder.take(answer(sent[0].request.id, 200, "late"));
  EXPECT_EQ(exchange->answers, 1);
}

TEST_F(ForwarderTest, WhoWaitsForADeposedPrimaryIsToldThatNothingIsKnown)
{
  const auto exchange = forward();
  primary.reset(); // nobody leads: the old one may still answer
  advance(0);
  EXPECT_FALSE(exchange->answer);
  primary = Forwarder::Primary{"another", 3};
  advance(0);
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "TransactionReplicationFailed");
  EXPECT_EQ(sent.size(), 1U) << "it is not sent to the next one";
}

TEST_F(ForwarderTest, WithoutAPrimaryNothingIsSent)
{
  primary.reset();
  auto exchange = forward();
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "InternalError");
  primary = Forwarder::Primary{"primary", 3};
  exchange = forward();
  EXPECT_EQ(exchange->answer->status, 503) << "the session stands in another view";
  EXPECT_TRUE(sent.empty());
  EXPECT_FALSE(session.forwarded);
}

TEST_F(ForwarderTest, WhatTheChannelDoesNotTakeWasNotDone)
{
  takes = false;
  const auto exchange = forward();
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "InternalError");
  EXPECT_EQ(forwarder.waiting(), 0U);
}

TEST_F(ForwarderTest, NoMoreThanSoManyWait)
{
  for (int i = 0; i < 3; ++i)
    forward();
  const auto exchange = forward();
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(sent.size(), 3U);
}

TEST_F(ForwarderTest, WhatIsTooLargeIsRefusedHere)
{
  const auto exchange = forward(std::string(ForwardedRequest::body_limit + 1, 'x'));
  EXPECT_EQ(exchange->answer->status, 413);
  EXPECT_EQ(code_of(*exchange->answer), "RequestBodyTooLarge");
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(forwarder.waiting(), 0U);
}

TEST_F(ForwarderTest, WhoWaitsWhenItStopsIsTold)
{
  const auto exchange = forward();
  forwarder.stop();
  EXPECT_EQ(exchange->answer->status, 503);
  const auto later = forward();
  EXPECT_EQ(later->answer->status, 503);
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(ForwarderTest, LooksAtTheTimeByItself)
{
  Forwarder watchful(
      {.send = [](const peer::NodeId&, PeerMessage, const peer::Payload&) { return true; },
       .primary = [] { return Forwarder::Primary{"primary", 2}; },
       .look_interval = milliseconds(1)},
      clock);
  watchful.start();
  const auto exchange = std::make_shared<FakeExchange>(Request{}, session);
  watchful.forward(exchange, 2, milliseconds(0));
  while (watchful.waiting() != 0)
    std::this_thread::yield();
  watchful.stop();
  EXPECT_EQ(exchange->answer->status, 504);
}
TEST_F(ForwarderTest, WhoIsToldThatNothingIsKnownIsToldWhichTransactionItIs)
{
  const auto place = [&](std::uint64_t id, TxId txid, std::string from = "primary")
  {
    forwarder.take_place({std::move(from), peer::Lane::bulk, 20, joined(ForwardedPlace{id, txid}.encode()), nullptr});
  };
  const auto late = forward();
  const auto other = forward();
  place(sent[0].request.id, {2, 7});
  place(sent[1].request.id, {2, 8}, "somebody else");
  place(sent[1].request.id, {3, 8}); // of a view in which it was not asked
  place(sent[1].request.id + 7, {2, 9});
  forwarder.take_place({"primary", peer::Lane::bulk, 20, "garbage", nullptr});
  EXPECT_FALSE(late->answer);
  advance(3);
  EXPECT_EQ(late->answer->status, 504);
  EXPECT_EQ(test::txid_of(*late->answer), "2.7");
  EXPECT_EQ(other->answer->status, 504);
  EXPECT_EQ(test::txid_of(*other->answer), "");

  const auto deposed = forward();
  place(sent[2].request.id, {2, 10});
  primary = Forwarder::Primary{"another", 3};
  advance(0);
  EXPECT_EQ(deposed->answer->status, 503);
  EXPECT_EQ(test::txid_of(*deposed->answer), "2.10");
}

TEST_F(ForwarderTest, WhatHasItsPlaceIsAnsweredAsAnyOther)
{
  const auto exchange = forward();
  forwarder.take_place(
      {"primary", peer::Lane::bulk, 20, joined(ForwardedPlace{sent[0].request.id, {2, 7}}.encode()), nullptr});
  forwarder.take(answer(sent[0].request.id, 200, "written"));
  EXPECT_EQ(exchange->answer->body, "written");
  EXPECT_EQ(test::txid_of(*exchange->answer), "") << "the answer says it itself";
}
}
