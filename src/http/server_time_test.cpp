#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <poll.h>

#include <chrono>
#include <string>
#include <thread>

// Clients that take their time: every wait for them ends, whatever they send meanwhile.

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";
constexpr auto drip_pause = std::chrono::milliseconds(10);

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
  TestServer server(echo, limits, 1);
  Peer peer(server.address());
  RawPeer later(server.address());
  ASSERT_EQ(later.read_to_the_end(), "") << "whoever came later, and says nothing, is ended";
  const auto answer = peer.ask(get);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
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

TEST(ServerTime, WaitingForTheHandlerIsNeitherIdleNorSlow)
{
  auto limits = patient();
  limits.idle_timeout_ms = 200;
  limits.request_timeout_ms = 400;
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); }, limits, 1);
  Peer peer(server.address());
  peer.send(get);
  const auto held = shelf.wait_for(1);
  // Who came later, and is waited for, is late before anything is answered.
  Peer slow(server.address());
  ASSERT_TRUE(slow.send("GET /"));
  Peer idle(server.address());
  EXPECT_TRUE(drip(slow.socket(), [&](int) { return slow.send("y"); }));
  const auto late = slow.read_answer();
  ASSERT_TRUE(late);
  EXPECT_EQ(late->status, 408);
  EXPECT_TRUE(idle.is_closed());
  held.front()->respond(Response::text("patience"));
  const auto answer = peer.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "patience");
}

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
}
}
