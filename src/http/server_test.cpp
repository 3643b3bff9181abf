#include "http/server.h"

#include "base/mutex.h"
#include "http/test_compression.h"
#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";

std::string post(const std::string& body)
{
  return "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Server, AnswersWithLengthAndLowerCaseNamesAndNothingOfItsOwn)
{
  TestServer server(
      [](const auto& exchange)
      {
        auto response = Response::json("{}");
        response.headers.emplace_back("X-Mixed", "Value");
        exchange->respond(response);
      });
  Peer peer(server.address());
  const auto answer = peer.ask(get);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "{}");
  EXPECT_EQ(
      answer->headers, (std::map<std::string, std::string>{
                           {"content-type", "application/json"}, {"x-mixed", "Value"}, {"content-length", "2"}}));
}

TEST(Server, EmptyAnswersHaveALength)
{
  TestServer server([](const auto& exchange) { exchange->respond(Response::empty(204)); });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->headers["content-length"], "0");
  EXPECT_EQ(peer.ask(get)->status, 204);
}

TEST(Server, HeadHasTheHeadersOfGetButNoBody)
{
  TestServer server([](const auto& exchange) { exchange->respond(Response::text("nine byte")); });
  Peer peer(server.address());
  peer.send("HEAD /x HTTP/1.1\r\nhost: x\r\n\r\n" + get);
  const auto head = peer.read_answer(true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->headers.at("content-length"), "9");
  const auto whole = peer.read_answer();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->status, 200) << "nothing stands between the answers";
  EXPECT_EQ(whole->body, "nine byte");
  EXPECT_EQ(whole->headers, head->headers);
}

TEST(Server, OptionsOfTheWholeServerAreAnsweredWithoutAHandler)
{
  TestServer server(echo);
  Peer peer(server.address());
  const auto answer = peer.ask("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_EQ(answer->status, 204);
  EXPECT_NE(answer->headers.at("allow").find("GET"), std::string::npos);
  EXPECT_EQ(peer.ask("GET * HTTP/1.1\r\nhost: x\r\n\r\n")->status, 400);
}

TEST(Server, TargetMayNameTheServer)
{
  TestServer server(echo);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask("GET https://x:1/path?q=1 HTTP/1.1\r\nhost: x\r\n\r\n")->body, "GET\n/path\nq=1\n");
}

TEST(Server, WithoutOrWithTwoHostsIsToldWhatIsWrong)
{
  TestServer server(echo);
  for (const auto* headers : {"", "host: x\r\nhost: x\r\n", "host: a b\r\n"})
  {
    Peer peer(server.address());
    const auto answer = peer.ask(std::string("GET / HTTP/1.1\r\n") + headers + "\r\n");
    ASSERT_TRUE(answer) << headers;
    EXPECT_EQ(answer->status, 400) << headers;
    EXPECT_NE(answer->body.find("'host' header"), std::string::npos) << answer->body;
    EXPECT_TRUE(peer.is_closed());
  }
  Peer old(server.address());
  EXPECT_EQ(old.ask("GET / HTTP/1.0\r\n\r\n")->status, 200);
}

TEST(Server, CompressedBodyIsDecoded)
{
  TestServer server(echo);
  Peer peer(server.address());
  const std::string body = compress("hello", 16);
  const auto answer = peer.ask(
      "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body);
  EXPECT_EQ(answer->body, "POST\n/echo\n\nhello");
}

TEST(Server, CodingThatIsNotKnownIs415AndNamesIt)
{
  TestServer server(echo);
  for (const auto* coding : {"br", "zstd", "gzip, gzip"})
  {
    Peer peer(server.address());
    const auto answer = peer.ask(
        std::string("POST / HTTP/1.1\r\nhost: x\r\ncontent-encoding: ") + coding +
        "\r\ncontent-length: 5\r\n\r\nhello");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 415);
    EXPECT_NE(answer->body.find(coding), std::string::npos) << answer->body;
    EXPECT_EQ(answer->headers.at("accept-encoding"), "gzip, deflate, identity");
    EXPECT_TRUE(peer.is_closed());
  }
}

TEST(Server, CompressedBodyThatIsDamagedOrTooLargeIsRefused)
{
  Limits limits;
  limits.max_body_size = 3 << 20;
  TestServer server(echo, limits);
  const auto post_gzip = [&](const std::string& body)
  {
    Peer peer(server.address());
    return peer.ask(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body);
  };
  EXPECT_EQ(post_gzip("this is no gzip")->status, 400);
  EXPECT_EQ(post_gzip(compress("hello", 16).substr(0, 12))->status, 400);
  const auto bomb = post_gzip(compress(std::string(64 << 20, '\0'), 16));
  EXPECT_EQ(bomb->status, 400);
  EXPECT_NE(bomb->body.find("a hundred times"), std::string::npos) << bomb->body;
  std::string random(4 << 20, '\0');
  std::mt19937 numbers(1);
  for (char& c : random)
    c = "0123456789abcdef"[numbers() % 16];
  EXPECT_EQ(post_gzip(compress(random, 16))->status, 413);
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder)
{
  TestServer server(echo);
  Peer peer(server.address());
  std::string all;
  for (int i = 0; i < 500; ++i)
    all += post(std::to_string(i));
  std::thread sender([&] { peer.send(all); });
  sender.join();
  for (int i = 0; i < 500; ++i)
  {
    const auto answer = peer.read_answer();
    ASSERT_TRUE(answer) << i;
    ASSERT_EQ(answer->body, "POST\n/echo\n\n" + std::to_string(i));
  }
}

TEST(Server, NextRequestIsHandedOutAfterTheAnswer)
{
  Shelf shelf;
  std::atomic<int> calls{0};
  TestServer server(
      [&](const auto& exchange)
      {
        ++calls;
        shelf.put(exchange);
      },
      {}, 1);
  Peer peer(server.address());
  peer.send(post("one") + post("two"));
  const auto first = shelf.wait_for(1);
  // Both came in one record: what would be handed out at once is, before the only thread sees to somebody else.
  Peer other(server.address());
  other.send(get);
  EXPECT_EQ(shelf.wait_for(1).front()->request().path, "/app/commit");
  EXPECT_EQ(calls, 2);
  first.front()->respond(Response::text("1"));
  EXPECT_EQ(peer.read_answer()->body, "1");
  shelf.wait_for(1).front()->respond(Response::text("2"));
  EXPECT_EQ(peer.read_answer()->body, "2");
}

TEST(Server, RequestMayArriveByteByByte)
{
  TestServer server(echo);
  Peer peer(server.address());
  for (const char byte : post("hello"))
    ASSERT_TRUE(peer.send({&byte, 1}));
  EXPECT_EQ(peer.read_answer()->body, "POST\n/echo\n\nhello");
}

TEST(Server, ChunkedBodyIsJoined)
{
  TestServer server(echo);
  Peer peer(server.address());
  const auto answer = peer.ask(
      "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
  EXPECT_EQ(answer->body, "POST\n/echo\n\nhello world");
}

TEST(Server, LargeBodiesPassBothWays)
{
  Limits limits;
  limits.max_body_size = 32 << 20;
  TestServer server(
      [](const auto& exchange) { exchange->respond(Response::text(std::move(exchange->request().body))); }, limits);
  Peer peer(server.address());
  std::string body(20 << 20, '\0');
  for (std::size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>(i * 2654435761U >> 13);
  const auto answer = peer.ask(post(body));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == body);
}

TEST(Server, ClientCertificateIsSeenWhateverItIs)
{
  TestServer server([](const auto& exchange)
                    { exchange->respond(Response::text(exchange->session().client_certificate)); });
  TestIdentityOptions expired;
  expired.valid_from = -7200;
  expired.valid_to = -3600;
  TestIdentityOptions odd;
  odd.curve = "P-521";
  const auto issuer = make_identity();
  TestIdentityOptions issued;
  issued.issuer = &issuer;
  for (const auto& options : {TestIdentityOptions{}, expired, odd, issued})
  {
    const auto identity = make_identity(options);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
      PeerOptions peer_options;
      peer_options.identity = &identity;
      peer_options.max_version = version;
      Peer peer(server.address(), peer_options);
      const auto answer = peer.ask(get);
      ASSERT_TRUE(answer);
      EXPECT_TRUE(answer->body == identity.certificate_der);
    }
  }
  Peer nobody(server.address());
  EXPECT_EQ(nobody.ask(get)->body, "");
}

TEST(Server, AnswersMayComeLateAndFromAnyThread)
{
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); });
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 20; ++i)
  {
    peers.push_back(std::make_unique<Peer>(server.address()));
    peers.back()->send(post(std::to_string(i)));
  }
  const auto exchanges = shelf.wait_for(peers.size());
  std::vector<std::thread> threads;
  for (const auto& exchange : exchanges)
    threads.emplace_back([exchange] { exchange->respond(Response::text(exchange->request().body)); });
  for (auto& thread : threads)
    thread.join();
  for (std::size_t i = 0; i < peers.size(); ++i)
    EXPECT_EQ(peers[i]->read_answer()->body, std::to_string(i));
}

TEST(Server, FirstAnswerCounts)
{
  TestServer server(
      [](const auto& exchange)
      {
        exchange->respond(Response::text("first"));
        exchange->respond(Response::text("second"));
      });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->body, "first");
  EXPECT_EQ(peer.ask(get)->body, "first");
}

TEST(Server, DroppedExchangeAnswers500)
{
  TestServer server([](const auto&) {});
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 500);
  EXPECT_EQ(peer.ask(get)->status, 500);
}

TEST(Server, ThrowingHandlerAnswers500AndCloses)
{
  TestServer server([](const auto&) { throw std::runtime_error("broken"); });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 500);
  EXPECT_TRUE(peer.is_closed());
}

TEST(Server, AnswerToAClientThatHasGoneIsDropped)
{
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); });
  {
    Peer peer(server.address());
    peer.send(get);
    const auto exchanges = shelf.wait_for(1);
    shelf.put(exchanges.front());
  }
  shelf.wait_for(1).front()->respond(Response::text("too late"));
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}

TEST(Server, CanGoWhileExchangesAreHeld)
{
  Shelf shelf;
  auto server = std::make_unique<TestServer>([&](const auto& exchange) { shelf.put(exchange); });
  Peer first(server->address());
  Peer second(server->address());
  first.send(get);
  second.send(get);
  const auto exchanges = shelf.wait_for(2);
  std::thread answering(
      [&]
      {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        exchanges.front()->respond(Response::text("x"));
      });
  server.reset();
  answering.join();
  exchanges.back()->respond(Response::text("too late"));
  EXPECT_EQ(exchanges.back()->session().interface, "main");
}

TEST(Server, RespondCanEndTheConnection)
{
  TestServer server([](const auto& exchange) { exchange->respond(Response::text("bye"), true); });
  Peer peer(server.address());
  const auto answer = peer.ask(get + get);
  EXPECT_EQ(answer->body, "bye");
  EXPECT_EQ(answer->headers.at("connection"), "close");
  EXPECT_TRUE(peer.is_closed());
}

TEST(Server, ConnectionCloseIsHonoured)
{
  TestServer server(echo);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")->status, 200);
  EXPECT_TRUE(peer.is_closed());
  Peer old(server.address());
  EXPECT_EQ(old.ask("GET / HTTP/1.0\r\n\r\n")->status, 200);
  EXPECT_TRUE(old.is_closed());
  Peer kept(server.address());
  const std::string keep = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
  EXPECT_EQ(kept.ask(keep)->headers.at("connection"), "keep-alive");
  EXPECT_EQ(kept.ask(keep)->status, 200);
}

TEST(Server, AnswersAClientThatHasSaidEverything)
{
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); });
  Peer peer(server.address());
  peer.send(get + get);
  SSL_shutdown(peer.ssl());
  shutdown(peer.socket(), SHUT_WR);
  shelf.wait_for(1).front()->respond(Response::text("1"));
  shelf.wait_for(1).front()->respond(Response::text("2"));
  EXPECT_EQ(peer.read_answer()->body, "1");
  EXPECT_EQ(peer.read_answer()->body, "2");
  EXPECT_TRUE(peer.is_closed());
}

TEST(Server, ExpectedContinueIsSent)
{
  TestServer server(echo);
  Peer peer(server.address());
  peer.send("POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  ASSERT_TRUE(peer.receive());
  EXPECT_EQ(peer.buffered(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.read_answer(true);
  EXPECT_EQ(peer.ask("ab")->body, "POST\n/echo\n\nab");
}

TEST(Server, HeadersCannotSplitAnAnswer)
{
  TestServer server(
      [](const auto& exchange)
      {
        auto response = Response::text("x");
        response.headers.emplace_back("a", "b\r\nset-cookie: evil");
        response.headers.emplace_back("bad\r\nname", "c");
        response.headers.emplace_back("Content-Length", "100");
        response.headers.emplace_back("transfer-encoding", "chunked");
        exchange->respond(response);
      });
  Peer peer(server.address());
  const auto answer = peer.ask(get);
  EXPECT_EQ(
      answer->headers, (std::map<std::string, std::string>{
                           {"content-type", "text/plain"}, {"a", "b  set-cookie: evil"}, {"content-length", "1"}}));
}

TEST(Server, SessionsAreTold)
{
  TestServer server(
      [](const auto& exchange)
      {
        const auto before = exchange->session().first_view.exchange(7);
        exchange->respond(Response::text(exchange->session().interface + " " + std::to_string(before)));
      });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->body, "main 0");
  EXPECT_EQ(peer.ask(get)->body, "main 7");
  Peer other(server.address());
  EXPECT_EQ(other.ask(get)->body, "main 0");
}

TEST(Server, ManyConnectionsAtOnce)
{
  TestServer server(echo);
  std::vector<std::future<bool>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(std::async(
        std::launch::async,
        [&, i]
        {
          for (int round = 0; round < 5; ++round)
          {
            Peer peer(server.address());
            for (int request = 0; request < 20; ++request)
            {
              const auto body = std::to_string(i * 1000 + request);
              const auto answer = peer.ask(post(body));
              if (!answer || answer->body != "POST\n/echo\n\n" + body)
                return false;
            }
          }
          return true;
        }));
  for (auto& client : clients)
    EXPECT_TRUE(client.get());
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
  EXPECT_GE(server.metrics().peak, 1U);
}

TEST(Server, ConnectionsAreSpreadOverAllThreads)
{
  base::Mutex mutex;
  std::map<std::thread::id, int> connections;
  TestServer server(
      [&](const auto& exchange)
      {
        {
          const base::LockGuard lock(mutex);
          ++connections[std::this_thread::get_id()];
        }
        exchange->respond(Response::empty());
      },
      {}, 2);
  for (int i = 0; i < 8; ++i)
    EXPECT_TRUE(Peer(server.address()).ask(get));
  const base::LockGuard lock(mutex);
  EXPECT_EQ(connections.size(), 2U);
  for (const auto& [thread, count] : connections)
    EXPECT_EQ(count, 4);
}

TEST(Server, RefusesAnAddressThatIsTaken)
{
  TestServer first(echo);
  Server::Options options;
  options.interfaces.push_back({"other", first.address(), {}});
  const auto second = Server::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::io);
  EXPECT_NE(second.error().message.find(first.address()), std::string::npos) << second.error().message;
}

TEST(Server, RefusesWhatIsNoAddress)
{
  for (const auto* address : {"", "localhost", "127.0.0.1:", ":8000", "127.0.0.1:70000", "127.0.0.1:x", "::1:80"})
  {
    Server::Options options;
    options.interfaces.push_back({"main", address, {}});
    const auto server = Server::start(options, echo);
    ASSERT_FALSE(server) << address;
    EXPECT_EQ(server.error().code, ErrorCode::invalid) << address;
  }
}

TEST(Server, GoesOnWithARequestOnTheThreadThatHandedItOut)
{
  Shelf shelf;
  std::atomic<bool> same{false};
  std::thread::id handed_out;
  TestServer server(
      [&](const auto& exchange)
      {
        handed_out = std::this_thread::get_id();
        shelf.put(exchange);
      },
      {}, 2);
  Peer peer(server.address());
  peer.send(get);
  const auto exchange = shelf.wait_for(1).front();
  exchange->resume(
      [&, exchange]
      {
        same = std::this_thread::get_id() == handed_out;
        exchange->respond(Response::text("later"));
      });
  EXPECT_EQ(peer.read_answer()->body, "later");
  EXPECT_TRUE(same);
}

TEST(Server, GoesOnWithNothingOfAConnectionThatIsGone)
{
  Shelf shelf;
  TestServer server([&](const auto& exchange) { shelf.put(exchange); });
  {
    Peer peer(server.address());
    peer.send(get);
  }
  const auto exchange = shelf.wait_for(1).front();
  server.server.reset();
  exchange->resume([] { FAIL() << "there is no thread for it"; });
}
}
}
