#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <poll.h>

#include <atomic>
#include <future>
#include <string>

// Clients that take their time: every wait for them ends, whatever they send meanwhile.

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";
constexpr std::uint64_t never = 0;
constexpr auto drip_pause = std::chrono::milliseconds(10);

/// Only what a test sets ends a connection.
Limits patient()
{
  Limits limits;
  limits.handshake_timeout_ms = never;
  limits.idle_timeout_ms = never;
  limits.request_timeout_ms = never;
  limits.answer_timeout_ms = never;
  limits.min_answer_rate = 0;
  limits.piece_timeout_ms = never;
  return limits;
}

bool has_something_to_read(int socket)
{
  pollfd waiting{socket, POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(drip_pause.count())) > 0;
}

/// Sends a byte now and then until the server says something. @return false if it never does
template <typename Send> bool drip(int socket, Send send)
{
  for (int i = 0; i < 1000; ++i)
  {
    if (has_something_to_read(socket))
      return true;
    if (!send(i))
      return true;
  }
  return false;
}

TEST(ServerTime, SilentHandshakeIsEndedByItsOwnTime)
{
  auto limits = patient();
  limits.handshake_timeout_ms = 200;
  TestServer server(echo, limits);
  RawPeer silent(server.address());
  EXPECT_EQ(silent.read_to_the_end(), "");
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(ServerTime, DrippedHandshakeIsEnded)
{
  auto limits = patient();
  limits.handshake_timeout_ms = 200;
  TestServer server(echo, limits);
  RawPeer dripping(server.address());
  ASSERT_TRUE(dripping.send(std::string_view("\x16\x03\x01\x40\x00\x01", 6)));
  EXPECT_TRUE(drip(dripping.socket(), [&](int) { return dripping.send("x"); }));
  EXPECT_TRUE(dripping.read_to_the_end());
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(ServerTime, HandshakeInTimeIsServedLongAfter)
{
  auto limits = patient();
  limits.handshake_timeout_ms = 200;
  TestServer server(echo, limits);
  Peer peer(server.address());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(peer.ask(get)->status, 200);
}

TEST(ServerTime, IdleConnectionIsClosed)
{
  auto limits = patient();
  limits.idle_timeout_ms = 200;
  TestServer server(echo, limits);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 200);
  EXPECT_TRUE(peer.is_closed());
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(ServerTime, SilenceInTheMiddleOfARequestIsIdleToo)
{
  auto limits = patient();
  limits.idle_timeout_ms = 200;
  TestServer server(echo, limits);
  Peer peer(server.address());
  ASSERT_TRUE(peer.send(get.substr(0, 10)));
  const auto answer = peer.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_TRUE(peer.is_closed());
}

struct Drip
{
  std::string name;
  std::string begin; ///< of a request that is never whole
  std::string more;  ///< what comes again and again
};

class Dripping : public testing::TestWithParam<Drip>
{
};

TEST_P(Dripping, ClientIsToldAndEnded)
{
  auto limits = patient();
  limits.request_timeout_ms = 300;
  TestServer server(echo, limits);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 200);
  ASSERT_TRUE(peer.send(GetParam().begin));
  const auto& more = GetParam().more;
  EXPECT_TRUE(drip(
      peer.socket(),
      [&](int i) { return peer.send(std::string_view(more).substr(static_cast<std::size_t>(i) % more.size(), 1)); }));
  const auto answer = peer.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_TRUE(peer.is_closed());
  shutdown(peer.socket(), SHUT_WR);
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

INSTANTIATE_TEST_SUITE_P(
    OfEverything, Dripping,
    testing::Values(
        Drip{"RequestLine", "GET /", "y"}, Drip{"HeaderValue", "GET / HTTP/1.1\r\nhost: x\r\nx: ", "v"},
        Drip{"HeaderLines", "GET / HTTP/1.1\r\nhost: x\r\n", "x: v\r\n"},
        Drip{"Body", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", "b"},
        Drip{"Chunks", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nb\r\n"},
        Drip{"ChunkExtension", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;", "e"},
        Drip{"Trailers", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "t: v\r\n"},
        Drip{"EmptyLines", "\r\n", "\r\n"}),
    [](const auto& tested) { return tested.param.name; });

TEST(ServerTime, DrippedTlsRecordIsEnded)
{
  auto limits = patient();
  limits.request_timeout_ms = 300;
  TestServer server(echo, limits);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 200);
  const std::string start("\x17\x03\x03\x40\x00", 5);
  ASSERT_GT(::send(peer.socket(), start.data(), start.size(), MSG_NOSIGNAL), 0);
  EXPECT_TRUE(drip(peer.socket(), [&](int) { return ::send(peer.socket(), "x", 1, MSG_NOSIGNAL) == 1; }));
  const auto answer = peer.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_TRUE(peer.is_closed());
}

TEST(ServerTime, RequestThatComesSlowlyButInTimeIsServed)
{
  auto limits = patient();
  limits.request_timeout_ms = 5000;
  limits.idle_timeout_ms = 100;
  TestServer server(echo, limits);
  Peer peer(server.address());
  const std::string text = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc";
  for (const char& byte : text)
  {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_TRUE(peer.send({&byte, 1}));
  }
  EXPECT_EQ(peer.read_answer()->status, 200);
}

TEST(ServerTime, EachRequestHasItsOwnTime)
{
  auto limits = patient();
  limits.request_timeout_ms = 300;
  TestServer server(echo, limits);
  Peer peer(server.address());
  for (int i = 0; i < 10; ++i)
  {
    ASSERT_TRUE(peer.send(get.substr(0, 10)));
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    const auto answer = peer.ask(get.substr(10));
    ASSERT_TRUE(answer) << i;
    ASSERT_EQ(answer->status, 200) << i;
  }
}

/// Goes on for ever.
class Endless final : public BodySource
{
public:
  explicit Endless(std::atomic<int>& alive) : alive_(alive)
  {
    ++alive_;
  }
  ~Endless() override
  {
    --alive_;
  }
  Endless(const Endless&) = delete;
  Endless& operator=(const Endless&) = delete;
  bool next(std::string& piece) override
  {
    piece.assign(64 << 10, 'x');
    return true;
  }

private:
  std::atomic<int>& alive_;
};

Response endless(std::atomic<int>& alive)
{
  auto response = Response::text("");
  response.stream = std::make_shared<Endless>(alive);
  return response;
}

TEST(ServerTime, AnswerAsAWholeHasATime)
{
  auto limits = patient();
  limits.answer_timeout_ms = 300;
  std::atomic<int> alive{0};
  TestServer server([&](const auto& exchange) { exchange->respond(endless(alive)); }, limits);
  Peer peer(server.address());
  peer.send(get);
  // However fast they read.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool ended = false;
  while (!ended && std::chrono::steady_clock::now() < patience)
  {
    ended = !peer.receive();
    peer.forget();
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(eventually([&] { return alive == 0 && server.metrics().active == 0; }));
}

TEST(ServerTime, ReaderOfAByteNowAndThenIsEndedAndHoldsNothing)
{
  auto limits = patient();
  limits.min_answer_rate = 100'000;
  limits.answer_rate_period_ms = 200;
  std::atomic<int> alive{0};
  TestServer server([&](const auto& exchange) { exchange->respond(endless(alive)); }, limits);
  PeerOptions options;
  options.receive_buffer = 4096;
  Peer peer(server.address(), options);
  peer.send(get);
  char byte = 0;
  bool ended = false;
  for (int i = 0; i < 1000 && !ended; ++i)
  {
    std::this_thread::sleep_for(drip_pause);
    (void)::recv(peer.socket(), &byte, 1, MSG_DONTWAIT);
    ended = alive == 0;
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(ServerTime, ClientThatReadsNothingIsEnded)
{
  auto limits = patient();
  limits.min_answer_rate = 1000;
  limits.answer_rate_period_ms = 200;
  TestServer server(
      [](const auto& exchange) { exchange->respond(Response::text(std::string(30 << 20, 'x'))); }, limits);
  PeerOptions options;
  options.receive_buffer = 4096;
  Peer peer(server.address(), options);
  peer.send(get);
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(ServerTime, ReaderAtTheRateIsServedToTheEnd)
{
  auto limits = patient();
  limits.min_answer_rate = 100'000;
  limits.answer_rate_period_ms = 200;
  constexpr std::size_t size = 8 << 20;
  TestServer server([](const auto& exchange) { exchange->respond(Response::text(std::string(size, 'x'))); }, limits);
  PeerOptions options;
  options.receive_buffer = 64 << 10;
  Peer peer(server.address(), options);
  peer.send(get);
  while (peer.buffered().size() < size)
  {
    ASSERT_TRUE(peer.receive()) << peer.buffered().size();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

TEST(ServerTime, SourceThatMakesNothingEndsTheAnswerAndNobodyElses)
{
  class Standing final : public BodySource
  {
  public:
    explicit Standing(std::shared_future<void> until) : until_(std::move(until)) {}
    bool next(std::string&) override
    {
      until_.wait();
      return false;
    }

  private:
    std::shared_future<void> until_;
  };
  auto limits = patient();
  limits.piece_timeout_ms = 300;
  std::promise<void> released;
  const std::shared_future<void> until = released.get_future();
  TestServer server(
      [&](const auto& exchange)
      {
        if (exchange->request().path == "/app/commit")
          return exchange->respond(Response::text("other"));
        auto response = Response::text("");
        response.stream = std::make_shared<Standing>(until);
        exchange->respond(response);
      },
      limits);
  Peer waiting(server.address());
  EXPECT_FALSE(waiting.ask("GET /standing HTTP/1.1\r\nhost: x\r\n\r\n"));
  Peer other(server.address());
  EXPECT_EQ(other.ask(get)->body, "other");
  EXPECT_EQ(server.metrics().streams_broken_off, 1U);
  EXPECT_EQ(server.metrics().streams, 1U) << "it is held until it comes back";
  released.set_value();
  EXPECT_TRUE(eventually([&] { return server.metrics().streams == 0; }));
}

TEST(ServerTime, SlowSourceIsNotTheClientsFault)
{
  class Slow final : public BodySource
  {
  public:
    bool next(std::string& piece) override
    {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      piece = "x";
      return ++at_ < 4;
    }

  private:
    int at_ = 0;
  };
  auto limits = patient();
  limits.min_answer_rate = 100'000;
  limits.answer_rate_period_ms = 50;
  limits.idle_timeout_ms = 100;
  limits.request_timeout_ms = 100;
  TestServer server(
      [](const auto& exchange)
      {
        auto response = Response::text("");
        response.stream = std::make_shared<Slow>();
        exchange->respond(response);
      },
      limits);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->body, "xxx");
}
}
}
