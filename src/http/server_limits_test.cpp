#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";

TEST(ServerLimits, MalformedRequestIsQuotedInPlainTextAndEndsTheConnection)
{
  TestServer server(echo);
  Peer peer(server.address());
  peer.send(get + "NONSENSE\r\n\r\n" + get);
  EXPECT_EQ(peer.read_answer()->status, 200);
  const auto refusal = peer.read_answer();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 400);
  EXPECT_EQ(refusal->headers.at("content-type"), "text/plain");
  EXPECT_NE(refusal->body.find("NONSENSE"), std::string::npos);
  EXPECT_TRUE(peer.is_closed());
  EXPECT_EQ(server.metrics().parsing_errors, 1U);
}

TEST(ServerLimits, RefusalOfABodyIsReadableThoughTheClientSendsOn)
{
  Limits limits;
  limits.max_body_size = 1 << 20;
  TestServer server(echo, limits);
  for (const bool chunked : {false, true})
  {
    Peer peer(server.address());
    const std::string body(6 << 20, 'x');
    const std::string framing = chunked ? "transfer-encoding: chunked\r\n\r\n600000\r\n"
                                        : "content-length: " + std::to_string(body.size()) + "\r\n\r\n";
    EXPECT_TRUE(peer.send("POST / HTTP/1.1\r\nhost: x\r\n" + framing + body));
    const auto answer = peer.read_answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413);
    EXPECT_EQ(answer->headers.at("content-type"), "application/json");
    EXPECT_NE(answer->body.find(R"({"error":{"code":"RequestBodyTooLarge")"), std::string::npos);
    EXPECT_TRUE(peer.is_closed());
  }
  EXPECT_EQ(server.metrics().payload_too_large, 2U);
}

TEST(ServerLimits, HeaderBeyondTheLimitIs431)
{
  TestServer server(echo);
  std::string many;
  for (int i = 0; i < 257; ++i)
    many += "x-" + std::to_string(i) + ": v\r\n";
  for (const auto& headers : {"x: " + std::string((16 << 10) + 1, 'v'), std::string((16 << 10) + 1, 'n') + ": v", many})
  {
    Peer peer(server.address());
    const auto answer = peer.ask("GET / HTTP/1.1\r\nhost: x\r\n" + headers + "\r\n\r\n");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 431);
    EXPECT_NE(answer->body.find("RequestHeaderTooLarge"), std::string::npos);
    EXPECT_TRUE(peer.is_closed());
  }
  EXPECT_EQ(server.metrics().header_too_large, 3U);
}

TEST(ServerLimits, LongTargetIsServed)
{
  TestServer server([](const auto& exchange)
                    { exchange->respond(Response::text(std::to_string(exchange->request().query.size()))); });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask("GET /x?" + std::string(1 << 20, 'y') + " HTTP/1.1\r\nhost: x\r\n\r\n")->body, "1048576");
}

TEST(ServerLimits, SessionAboveTheSoftCapIsToldAndClosed)
{
  Limits limits;
  limits.max_open_sessions_soft = 3;
  limits.max_open_sessions_hard = 5;
  TestServer server(echo, limits);
  std::vector<std::unique_ptr<Peer>> held;
  for (int i = 0; i < 3; ++i)
  {
    held.push_back(std::make_unique<Peer>(server.address()));
    EXPECT_EQ(held.back()->ask(get)->status, 200);
  }
  Peer above(server.address());
  ASSERT_TRUE(above.connected());
  const auto answer = above.ask(get);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_NE(answer->body.find("SessionCapExhausted"), std::string::npos);
  EXPECT_TRUE(above.is_closed());
  EXPECT_EQ(server.metrics().peak, 4U);
  EXPECT_EQ(server.metrics().soft_cap, 3U);

  held.clear();
  EXPECT_TRUE(eventually(
      [&]
      {
        Peer next(server.address());
        const auto served = next.ask(get);
        return served && served->status == 200;
      }));
}

TEST(ServerLimits, SessionAboveTheHardCapIsClosedUnanswered)
{
  Limits limits;
  limits.max_open_sessions_soft = 2;
  limits.max_open_sessions_hard = 2;
  TestServer server(echo, limits);
  Peer first(server.address());
  Peer second(server.address());
  EXPECT_EQ(first.ask(get)->status, 200);
  EXPECT_EQ(second.ask(get)->status, 200);
  // Who it is shows in the handshake only, so that much is done.
  Peer third(server.address());
  third.send(get);
  EXPECT_TRUE(third.is_closed());
  EXPECT_EQ(first.ask(get)->status, 200);
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 2; }));
}

TEST(ServerLimits, FloodOfPipelinedRequestsIsNotBuffered)
{
  // Nobody reads, nobody answers: what the server takes is bounded, so the client's kernel fills up.
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); });
  Peer peer(server.address());
  const timeval limit{0, 300'000};
  ::setsockopt(peer.socket(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  std::string flood;
  while (flood.size() < (64 << 20))
    flood += get;
  EXPECT_FALSE(peer.send(flood));
  EXPECT_EQ(SSL_get_error(peer.ssl(), 0), SSL_ERROR_WANT_WRITE) << "it is not closed, but full";
  EXPECT_EQ(shelf.wait_for(1).size(), 1U);
}
}
}
