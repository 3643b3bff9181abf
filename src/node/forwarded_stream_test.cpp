#include "node/forwarded_stream.h"

#include "node/forwarding_test_support.h"

namespace concordat::node
{
namespace
{
using test::endpoint;
using test::FakeExchange;
using test::ForwardingTest;
using test::joined;
using test::txid_of;

/// Pieces of 1 MiB, then a failure if it is to fail.
struct Pieces : BodySource
{
  Pieces(int number, int& taken, bool breaks) : left(number), read(taken), fails(breaks) {}
  bool next(std::string& piece) override
  {
    if (left == 0 && fails)
      throw std::runtime_error("as the test wants it");
    piece.assign(1 << 20, static_cast<char>('a' + read % 26));
    if (left == 0)
      return false;
    ++read;
    --left;
    return true;
  }
  int left;
  int& read;
  bool fails;
};

struct StreamedForwardingTest : ForwardingTest
{
  StreamedForwardingTest()
  {
    auto streams = endpoint(
        "POST", "/stream", Mode::read_write,
        [this](Context& context)
        {
          context.transaction().put("records", "k", "v");
          auto response = Response::text("");
          if (whole != 0)
            response.body.assign(whole, 'w');
          else
            response.stream = std::make_shared<Pieces>(pieces, taken, fails);
          return response;
        });
    for (auto* const node : {&backup, &primary})
      node->serve({streams});
  }
  Response ask()
  {
    session = backup.session();
    exchange = backup.send(*session, "POST", "/app/stream");
    work();
    if (whole == 0)
    {
      EXPECT_FALSE(exchange->answer) << "not on the thread that agrees";
      work();
    }
    EXPECT_EQ(exchange->answers, 1);
    return std::move(exchange->answer).value_or(Response::empty(599));
  }
  std::uint64_t read_all(const Response& response)
  {
    std::uint64_t size = 0;
    for (std::string piece;;)
    {
      work();
      if (!response.stream->next(piece))
        return size;
      size += piece.size();
    }
  }

  std::shared_ptr<http::Session> session;
  std::shared_ptr<FakeExchange> exchange;
  int pieces = 1;
  int taken = 0;
  bool fails = false;
  std::size_t whole = 0;
};
}

TEST_F(StreamedForwardingTest, AStreamThatIsSmallComesAsAWhole)
{
  const auto response = ask();
  EXPECT_FALSE(response.stream);
  EXPECT_EQ(response.body.size(), 1U << 20);
}

TEST_F(StreamedForwardingTest, ALargeOneComesInPiecesOfWhichFewLieReady)
{
  pieces = 100;
  const auto response = ask();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(txid_of(response), "2.6");
  ASSERT_TRUE(response.stream);
  work();
  EXPECT_LE(taken, 8) << "the client has not taken anything";
  EXPECT_EQ(read_all(response), std::uint64_t{100} << 20);
  EXPECT_LE(largest, (1U << 20) + 100);
  std::string piece;
  EXPECT_FALSE(response.stream->next(piece));
}

TEST_F(StreamedForwardingTest, OneThatBreaksOffIsNeverTakenForWhole)
{
  pieces = 10;
  fails = true;
  const auto response = ask();
  ASSERT_TRUE(response.stream);
  EXPECT_THROW(read_all(response), std::runtime_error);
  EXPECT_EQ(taken, 10);
}

TEST_F(StreamedForwardingTest, OneThatFailsAtOnceSaysWhichTransactionWasWritten)
{
  fails = true;
  const auto response = ask();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(txid_of(response), "2.6");
}

TEST_F(StreamedForwardingTest, ALargeBodyIsCutToo)
{
  whole = (std::size_t{40} << 20) + 7;
  const auto response = ask();
  ASSERT_TRUE(response.stream);
  EXPECT_EQ(read_all(response), whole);
  EXPECT_LE(largest, (1U << 20) + 100);
}

TEST_F(StreamedForwardingTest, WhoWantsNoMoreHoldsNothingAtThePrimary)
{
  pieces = 1000;
  for (int i = 0; i < 200; ++i)
  {
    const auto response = ask();
    EXPECT_EQ(response.status, 200) << i;
  }
}

TEST_F(StreamedForwardingTest, ANodeThatIsGoneHoldsNothingForLong)
{
  pieces = 1000;
  std::vector<Response> held;
  for (int i = 0; i < 64; ++i)
    held.push_back(ask());
  EXPECT_EQ(ask().status, 500) << "each may hold a state of the store";
  cut = true;
  held.clear();
  cut = false;
  primary.clock.seconds += 61;
  received.look();
  EXPECT_EQ(ask().status, 200);
}

TEST_F(StreamedForwardingTest, WhatNobodyAskedForIsDropped)
{
  pieces = 100;
  const auto response = ask();
  const auto send = [&](std::string from, std::uint64_t id, std::string bytes)
  {
    auto payload = ForwardedPiece{id, ForwardedPiece::End::whole, std::move(bytes)}.encode();
    forwarder.take_piece({std::move(from), peer::Lane::bulk, 23, joined(*payload), nullptr});
  };
  for (std::uint64_t id = 0; id < 100; ++id)
    send("primary", id, "garbage");
  forwarder.take_piece({"primary", peer::Lane::bulk, 23, "garbage", nullptr});
  received.take_more({"backup", peer::Lane::bulk, 24, "garbage", nullptr});
  received.take_more({"another", peer::Lane::bulk, 24, joined(ForwardedMore{1, false}.encode()), nullptr});
  EXPECT_EQ(read_all(response), std::uint64_t{100} << 20);
}

TEST(IncomingStream, EndsWhenNothingComes)
{
  int asked = 0;
  IncomingStream stream([&](bool more) { asked += more ? 1 : 100; }, std::chrono::milliseconds(1));
  stream.begin();
  stream.take({1, ForwardedPiece::End::none, "piece"});
  std::string piece;
  EXPECT_TRUE(stream.next(piece));
  EXPECT_EQ(piece, "piece");
  EXPECT_THROW(stream.next(piece), std::runtime_error);
  EXPECT_THROW(stream.next(piece), std::runtime_error);
  EXPECT_EQ(asked, static_cast<int>(IncomingStream::ahead) + 1);
}

TEST(IncomingStream, TakesNoMoreThanItAskedFor)
{
  IncomingStream stream([](bool) {});
  for (unsigned i = 0; i < 2 * IncomingStream::ahead; ++i)
    stream.take({1, ForwardedPiece::End::none, "piece"});
  std::string piece;
  for (unsigned i = 0; i <= IncomingStream::ahead; ++i)
    EXPECT_TRUE(stream.next(piece));
  EXPECT_THROW(stream.next(piece), std::runtime_error);
}
}
