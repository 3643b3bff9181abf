#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

// Crowds: whoever takes all there is of something takes it from themselves, and known callers have a share of their
// own.

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";
constexpr in_addr_t elsewhere = INADDR_LOOPBACK + 1;

class ServerShare : public testing::Test
{
protected:
  /// Alice and Bob are known, nobody else.
  std::function<bool(std::string_view)> is_known()
  {
    return [this](std::string_view der) { return der == alice.certificate_der || der == bob.certificate_der; };
  }
  static PeerOptions as(const TestIdentity& who)
  {
    PeerOptions options;
    options.identity = &who;
    return options;
  }

  const TestIdentity alice = make_identity();
  const TestIdentity bob = make_identity();
  const TestIdentity mallory = make_identity();
};

TEST_F(ServerShare, KnownCallersFindRoomWhenStrangersHaveAllTheirs)
{
  Limits limits;
  limits.max_open_sessions_soft = 2;
  limits.max_open_sessions_hard = 3;
  limits.max_known_sessions = 4;
  TestServer server(echo, limits, 2, is_known());
  Peer first(server.address());
  Peer second(server.address(), as(mallory));
  EXPECT_EQ(first.ask(get)->status, 200);
  EXPECT_EQ(second.ask(get)->status, 200);
  EXPECT_EQ(Peer(server.address(), as(mallory)).ask(get)->status, 503);
  Peer known(server.address(), as(alice));
  EXPECT_EQ(known.ask(get)->status, 200);
  Peer other(server.address(), as(bob));
  EXPECT_EQ(other.ask(get)->status, 200);
}

TEST_F(ServerShare, OfKnownCallersNoneCanTakeItAll)
{
  Limits limits;
  limits.max_open_sessions_soft = limits.max_open_sessions_hard = 1;
  limits.max_known_sessions = 6;
  TestServer server(echo, limits, 2, is_known());
  std::vector<std::unique_ptr<Peer>> held;
  unsigned served = 0;
  for (int i = 0; i < 10; ++i)
  {
    held.push_back(std::make_unique<Peer>(server.address(), as(alice)));
    const auto answer = held.back()->ask(get);
    served += answer && answer->status == 200 ? 1U : 0U;
  }
  EXPECT_EQ(served, 3U + 1U) << "half of the share, and what strangers leave";
  Peer other(server.address(), as(bob));
  EXPECT_EQ(other.ask(get)->status, 200);
}

TEST_F(ServerShare, WhatACallerGivesBackIsFreeAgain)
{
  Limits limits;
  limits.max_open_sessions_soft = limits.max_open_sessions_hard = 1;
  limits.max_known_sessions = 2;
  TestServer server(echo, limits, 2, is_known());
  // Else what strangers leave would do.
  auto stranger = std::make_unique<Peer>(server.address());
  ASSERT_EQ(stranger->ask(get)->status, 200);
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(eventually(
        [&]
        {
          Peer peer(server.address(), as(alice));
          const auto answer = peer.ask(get);
          return answer && answer->status == 200;
        }));
  stranger.reset();
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

// Whoever begins streams and does not read them holds what they are made from.
TEST_F(ServerShare, NobodyCanHoldAllStreams)
{
  class Endless final : public BodySource
  {
  public:
    bool next(std::string& piece) override
    {
      piece.assign(64 << 10, 'x');
      return true;
    }
  };
  Limits limits;
  limits.max_streams = 6;
  TestServer server(
      [](const auto& exchange)
      {
        auto response = Response::text("other");
        if (exchange->request().path == "/stream")
          response.stream = std::make_shared<Endless>();
        exchange->respond(response);
      },
      limits, 2, is_known());
  const auto stream = [](Peer& peer)
  {
    peer.send("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n");
    while (peer.buffered().find("\r\n") == std::string::npos && peer.receive())
      ;
    return peer.buffered().substr(0, 12);
  };
  std::vector<std::unique_ptr<Peer>> held;
  const auto hold = [&](const PeerOptions& who)
  {
    held.push_back(std::make_unique<Peer>(server.address(), who));
    return stream(*held.back());
  };
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(hold(as(alice)), "HTTP/1.1 200");
  Peer refused(server.address(), as(alice));
  const auto answer = refused.ask("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_NE(answer->body.find("TooManyStreams"), std::string::npos);
  EXPECT_EQ(answer->headers.at("retry-after"), "3");
  EXPECT_EQ(refused.ask(get)->body, "other") << "the connection goes on";
  EXPECT_EQ(hold(as(bob)), "HTTP/1.1 200");
  EXPECT_EQ(hold(as(mallory)), "HTTP/1.1 200") << "strangers have streams of their own";
  EXPECT_EQ(server.metrics().streams, 5U);
  EXPECT_EQ(server.metrics().streams_refused, 1U);
  // What is given back may be had again: by an end in the middle, and by HEAD, whose source nobody asks.
  held.clear();
  EXPECT_TRUE(eventually([&] { return server.metrics().streams == 0; }));
  Peer again(server.address(), as(alice));
  for (int i = 0; i < 10; ++i)
  {
    again.send("HEAD /stream HTTP/1.1\r\nhost: x\r\n\r\n");
    EXPECT_EQ(again.read_answer(true)->status, 200);
    EXPECT_TRUE(eventually([&] { return server.metrics().streams == 0; }));
  }
  EXPECT_EQ(hold(as(alice)), "HTTP/1.1 200");
}

TEST_F(ServerShare, SilentConnectionsKeepNobodyOut)
{
  Limits limits;
  limits.max_handshakes = 10;
  limits.handshake_timeout_ms = 3'600'000;
  TestServer server(echo, limits);
  std::vector<RawPeer> silent;
  for (int i = 0; i < 100; ++i)
    silent.emplace_back(server.address());
  EXPECT_EQ(Peer(server.address()).ask(get)->status, 200);
  EXPECT_TRUE(eventually([&] { return server.metrics().active <= 10; }));
  EXPECT_FALSE(silent.front().is_open());
  EXPECT_TRUE(silent.back().is_open());
}

TEST_F(ServerShare, AddressThatCrowdsTheHandshakesLosesItsOwn)
{
  Limits limits;
  limits.max_handshakes = 10;
  limits.handshake_timeout_ms = 3'600'000;
  TestServer server(echo, limits);
  RawPeer apart(server.address(), elsewhere);
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 1; }));
  std::vector<RawPeer> crowd;
  for (int i = 0; i < 50; ++i)
    crowd.emplace_back(server.address());
  EXPECT_TRUE(eventually([&] { return !crowd[40].is_open(); }));
  EXPECT_TRUE(apart.is_open());
}

TEST_F(ServerShare, HalfSentRequestsAreBoundedOverAllConnections)
{
  Limits limits;
  limits.max_unfinished_requests = 1 << 20;
  limits.max_body_size = 100'000;
  TestServer server(echo, limits, 2, is_known());
  // His head is small enough for nobody to mind.
  Peer known(server.address(), as(alice));
  ASSERT_TRUE(known.send(get.substr(0, 20)));
  std::vector<std::unique_ptr<Peer>> held;
  for (int i = 0; i < 10; ++i)
  {
    held.push_back(std::make_unique<Peer>(server.address()));
    ASSERT_TRUE(held.back()->send("GET /" + std::string(300'000, 'y')));
  }
  const auto refused = held.front()->read_answer();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_NE(refused->body.find("unfinished"), std::string::npos);
  EXPECT_TRUE(held.front()->is_closed());
  EXPECT_EQ(held.back()->ask(" HTTP/1.1\r\nhost: x\r\n\r\n")->status, 200) << "the last one fits";
  EXPECT_EQ(known.ask(get.substr(20))->status, 200);
}

TEST_F(ServerShare, StrangersHalfSentRequestsTakeNothingFromKnownCallers)
{
  Limits limits;
  limits.max_unfinished_requests = 1 << 20;
  limits.max_body_size = 200'000;
  TestServer server(echo, limits, 2, is_known());
  Peer known(server.address(), as(alice));
  const std::string body(200'000, 'b');
  ASSERT_TRUE(known.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + body.substr(0, 190'000)));
  std::vector<std::unique_ptr<Peer>> held;
  for (unsigned i = 0; i < 30; ++i)
  {
    PeerOptions somewhere;
    somewhere.from = INADDR_LOOPBACK + 1 + i; // each has less than they
    held.push_back(std::make_unique<Peer>(server.address(), somewhere));
    ASSERT_TRUE(held.back()->send("GET /" + std::string(100'000, 'y')));
  }
  EXPECT_EQ(held.front()->read_answer()->status, 503);
  const auto answer = known.ask(body.substr(190'000));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST_F(ServerShare, DeclaredLengthAllocatesNothing)
{
  Limits limits;
  limits.max_body_size = std::uint64_t{1} << 40;
  TestServer server(echo, limits);
  std::vector<std::unique_ptr<Peer>> held;
  for (int i = 0; i < 8; ++i)
  {
    held.push_back(std::make_unique<Peer>(server.address()));
    ASSERT_TRUE(held.back()->send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\nb"));
  }
  EXPECT_EQ(Peer(server.address()).ask(get)->status, 200);
}

TEST_F(ServerShare, AnswersThatNobodyReadsAreBoundedOverAllConnections)
{
  Limits limits;
  limits.max_waiting_answers = 30 << 20;
  limits.min_answer_rate = 0;
  TestServer server(
      [](const auto& exchange)
      {
        const auto size = exchange->request().path == "/large" ? std::size_t{16} << 20 : std::size_t{10};
        exchange->respond(Response::text(std::string(size, 'x')));
      },
      limits, 2, is_known());
  PeerOptions options;
  options.receive_buffer = 4096;
  std::vector<std::unique_ptr<Peer>> held;
  for (int i = 0; i < 6; ++i)
  {
    held.push_back(std::make_unique<Peer>(server.address(), options));
    ASSERT_TRUE(held.back()->send("GET /large HTTP/1.1\r\nhost: x\r\n\r\n"));
  }
  EXPECT_TRUE(eventually([&] { return server.metrics().active <= 2; })) << "no more than two of them fit";
  unsigned whole = 0;
  for (const auto& one : held)
    whole += one->read_answer() ? 1U : 0U;
  EXPECT_EQ(whole, 2U);
  EXPECT_EQ(Peer(server.address()).ask(get)->body.size(), 10U);
  Peer known(server.address(), as(alice));
  EXPECT_EQ(known.ask("GET /large HTTP/1.1\r\nhost: x\r\n\r\n")->body.size(), std::size_t{16} << 20);
}

TEST_F(ServerShare, SlowHandlerStopsNobodyFromBeingAccepted)
{
  std::promise<void> done;
  const std::shared_future<void> until = done.get_future();
  std::promise<void> inside;
  TestServer server(
      [&](const auto& exchange)
      {
        if (exchange->request().path == "/slow")
        {
          inside.set_value();
          until.wait();
        }
        exchange->respond(Response::text("done"));
      },
      {}, 2);
  Peer slow(server.address());
  slow.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
  inside.get_future().wait();
  // One that is given to the thread of the slow handler has its answer only after that one's.
  int served = 0;
  for (; served < 10; ++served)
    if (const auto answer = Peer(server.address()).ask(get); !answer || answer->body != "done")
      break;
  EXPECT_EQ(served, 10);
  done.set_value();
  const auto answer = slow.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "done");
}

TEST_F(ServerShare, TooFewDescriptorsAreToldAtTheStart)
{
  Server::Options options;
  options.interfaces.push_back({"main", "127.0.0.1:0", {}});
  options.descriptors_kept_back = std::uint64_t{1} << 40;
  const auto server = Server::start(options, echo);
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().describe().find("open files"), std::string::npos) << server.error().describe();
}
}
}
