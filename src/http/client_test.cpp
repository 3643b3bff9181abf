#include "http/client.h"

#include "http/response_parser.h"
#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace concordat::http::test
{
namespace
{
/// A server whose certificate a service has issued, as in a real network.
class Network
{
public:
  explicit Network(ExchangeHandler handler, const Limits& limits = {}, const std::string& names = "IP:127.0.0.1")
      : service(make_identity({.subject = "service", .alternative_names = ""})),
        server(std::move(handler), limits)
  {
    TestIdentityOptions options;
    options.issuer = &service;
    options.alternative_names = names;
    const auto node = make_identity(options);
    EXPECT_TRUE(server.server->set_identity("main", {node.certificate_pem, node.key_pem}));
  }

  ClientOptions options() const
  {
    ClientOptions made;
    made.url = "https://" + server.address();
    made.service_certificate_pem = service.certificate_pem;
    made.timeout_ms = 10'000;
    return made;
  }

  std::unique_ptr<Client> client() const
  {
    auto made = Client::create(options());
    EXPECT_TRUE(made) << (made ? "" : made.error().describe());
    return std::move(*made);
  }

  TestIdentity service;
  TestServer server;
};

TEST(Client, SendsAndReads)
{
  Network network(echo);
  const auto client = network.client();
  const auto answer = client->send("POST", "/app/x?a=%20", {{"x", "y"}}, "hello");
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "POST\n/app/x\na= \nhello");
  EXPECT_EQ(find_header(answer->headers, "content-type"), "text/plain");
}

TEST(Client, KeepsItsConnection)
{
  Network network([](const auto& exchange)
                  { exchange->respond(Response::text(std::to_string(exchange->session().id))); });
  const auto client = network.client();
  const auto first = client->send("GET", "/", {}, "");
  const auto second = client->send("GET", "/", {}, "");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body, second->body);
}

TEST(Client, ConnectsAgainWhenTheServerClosedBetweenRequests)
{
  Limits limits;
  limits.idle_timeout_ms = 100;
  Network network(echo, limits);
  const auto client = network.client();
  ASSERT_TRUE(client->send("GET", "/", {}, ""));
  ASSERT_TRUE(eventually([&] { return network.server.metrics().active == 0; }));
  EXPECT_TRUE(client->send("GET", "/", {}, ""));
}

TEST(Client, ConnectsAgainAfterConnectionClose)
{
  Network network([](const auto& exchange) { exchange->respond(Response::text("x"), true); });
  const auto client = network.client();
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(client->send("GET", "/", {}, ""));
}

TEST(Client, ShowsItsCertificate)
{
  Network network([](const auto& exchange)
                  { exchange->respond(Response::text(exchange->session().client_certificate)); });
  const auto member = make_identity();
  auto options = network.options();
  options.certificate_pem = member.certificate_pem;
  options.private_key_pem = member.key_pem;
  const auto answer = (*Client::create(options))->send("GET", "/", {}, "");
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_TRUE(answer->body == member.certificate_der);
}

TEST(Client, SaysThatNobodyListens)
{
  std::string address;
  {
    Network network(echo);
    address = network.server.address();
  }
  ClientOptions options;
  options.url = "https://" + address;
  options.service_certificate_pem = make_identity().certificate_pem;
  const auto answer = (*Client::create(options))->send("GET", "/", {}, "");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_EQ(answer.error().describe(), "cannot connect to " + address + ": connection refused");
}

TEST(Client, TrustsOnlyTheServiceGiven)
{
  Network network(echo);
  auto options = network.options();
  options.service_certificate_pem = make_identity({.subject = "service"}).certificate_pem;
  const auto answer = (*Client::create(options))->send("GET", "/", {}, "");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::denied);
  EXPECT_NE(
      answer.error().describe().find("the certificate served is not issued by the service certificate given"),
      std::string::npos)
      << answer.error().describe();
}

TEST(Client, WantsItsHostInTheCertificate)
{
  for (const auto* names : {"IP:127.0.0.2,DNS:localhost", "DNS:127.0.0.1", "DNS:node"})
  {
    Network network(echo, {}, names);
    const auto answer = network.client()->send("GET", "/", {}, "");
    ASSERT_FALSE(answer) << names;
    EXPECT_NE(answer.error().describe().find("is not for '127.0.0.1'"), std::string::npos) << answer.error().describe();
  }
  Network network(echo, {}, "DNS:localhost");
  auto options = network.options();
  options.url = "https://localhost" + options.url.substr(options.url.rfind(':'));
  EXPECT_TRUE((*Client::create(options))->send("GET", "/", {}, ""));
}

TEST(Client, RefusesAnExpiredCertificate)
{
  Network network(echo);
  TestIdentityOptions expired;
  expired.issuer = &network.service;
  expired.valid_to = -60;
  const auto node = make_identity(expired);
  ASSERT_TRUE(network.server.server->set_identity("main", {node.certificate_pem, node.key_pem}));
  const auto answer = network.client()->send("GET", "/", {}, "");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().describe().find("expired"), std::string::npos) << answer.error().describe();
}

TEST(Client, SaysWhenItIsNotKnownWhetherARequestTookEffect)
{
  std::atomic<int> calls{0};
  std::vector<std::shared_ptr<Exchange>> held;
  auto network = std::make_unique<Network>(
      [&](const auto& exchange)
      {
        ++calls;
        held.push_back(exchange);
      });
  const auto client = network->client();
  std::thread stopping(
      [&]
      {
        EXPECT_TRUE(eventually([&] { return calls == 1; }));
        network.reset();
      });
  const auto answer = client->send("POST", "/pay", {}, "1");
  stopping.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_NE(answer.error().describe().find("not known"), std::string::npos) << answer.error().describe();
  EXPECT_EQ(calls, 1) << "it is not sent again by itself";
}

TEST(Client, GivesUpAfterItsTimeout)
{
  std::vector<std::shared_ptr<Exchange>> held;
  Network network([&](const auto& exchange) { held.push_back(exchange); });
  auto options = network.options();
  options.timeout_ms = 100;
  const auto answer = (*Client::create(options))->send("GET", "/", {}, "");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_NE(answer.error().describe().find("100 ms"), std::string::npos) << answer.error().describe();
}

class Counting final : public BodySource
{
public:
  explicit Counting(int pieces) : left_(pieces) {}
  bool next(std::string& piece) override
  {
    piece.assign(10'000, 'x');
    return left_-- > 0;
  }

private:
  int left_;
};

TEST(Client, HandsOnAStreamedBodyInPieces)
{
  Network network(
      [](const auto& exchange)
      {
        auto response = Response::text("");
        response.stream = std::make_shared<Counting>(100);
        exchange->respond(std::move(response));
      });
  const auto client = network.client();
  std::size_t size = 0;
  const auto answer = client->send_streaming(
      "GET", "/", {}, "",
      [&](std::string_view piece)
      {
        size += piece.size();
        return true;
      });
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->body, "");
  EXPECT_EQ(size, 1'000'000U);

  int calls = 0;
  EXPECT_TRUE(client->send_streaming("GET", "/", {}, "", [&](std::string_view) { return ++calls < 2; }));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(client->send("GET", "/", {}, "")->body.size(), 1'000'000U);
}

TEST(Client, ReadsARefusalThoughItsBodyIsNotSent)
{
  Limits limits;
  limits.max_body_size = 1000;
  Network network(echo, limits);
  const auto answer = network.client()->send("POST", "/", {}, std::string(8 << 20, 'x'));
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->status, 413);
}

TEST(Client, SurvivesAServerThatStopsReading)
{
  Limits limits;
  limits.max_body_size = 1000;
  Network network(echo, limits);
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  const auto answer = network.client()->send("POST", "/", {}, std::string(64 << 20, 'x'));
  std::signal(SIGPIPE, before);
  EXPECT_TRUE(answer ? answer->status == 413 : answer.error().code == ErrorCode::unavailable);
}

TEST(Client, HeadHasNoBody)
{
  Network network(echo);
  const auto client = network.client();
  EXPECT_EQ(client->send("HEAD", "/", {}, "")->body, "");
  EXPECT_EQ(client->send("GET", "/", {}, "")->status, 200);
}

TEST(Client, RefusesWhatWouldSplitARequest)
{
  Network network(echo);
  const auto client = network.client();
  EXPECT_EQ(client->send("GET", "/a b", {}, "").error().code, ErrorCode::invalid);
  EXPECT_EQ(client->send("GET", "/\r\nx: y", {}, "").error().code, ErrorCode::invalid);
  EXPECT_EQ(client->send("GET", "/", {{"a", "b\r\nc: d"}}, "").error().code, ErrorCode::invalid);
  EXPECT_EQ(client->send("GET", "/", {{"a:", "b"}}, "").error().code, ErrorCode::invalid);
}

TEST(Client, RefusesOptionsThatCannotBeUsed)
{
  const auto good = make_identity();
  const auto refused = [&](auto change)
  {
    ClientOptions options;
    options.url = "https://127.0.0.1:1";
    options.service_certificate_pem = good.certificate_pem;
    change(options);
    const auto client = Client::create(options);
    return !client && client.error().code == ErrorCode::invalid;
  };
  EXPECT_TRUE(refused([](auto& options) { options.url = "http://127.0.0.1:1"; }));
  EXPECT_TRUE(refused([](auto& options) { options.url = "https://127.0.0.1"; }));
  EXPECT_TRUE(refused([](auto& options) { options.url = "https://127.0.0.1:1/path"; }));
  EXPECT_TRUE(refused([](auto& options) { options.service_certificate_pem = "x"; }));
  EXPECT_TRUE(refused([&](auto& options) { options.certificate_pem = good.certificate_pem; }));
  EXPECT_TRUE(refused(
      [&](auto& options)
      {
        options.certificate_pem = good.certificate_pem;
        options.private_key_pem = make_identity().key_pem;
      }));
}

Result<Response> parse(std::string_view bytes, ResponseParser::Options options = {}, bool closed = false)
{
  const auto read = [&](std::size_t piece)
  {
    ResponseParser parser(options);
    Result<void> done;
    for (std::size_t at = 0; at < bytes.size() && done && !parser.done(); at += piece)
      done = parser.feed(bytes.substr(at, piece));
    if (done && !parser.done())
      done = closed ? parser.end() : fail(ErrorCode::unavailable, "more is needed");
    return done ? Result<Response>(parser.take()) : std::unexpected(done.error());
  };
  auto whole = read(std::max<std::size_t>(bytes.size(), 1));
  const auto dripped = read(1);
  EXPECT_EQ(whole.has_value(), dripped.has_value()) << bytes.substr(0, 200);
  if (whole && dripped)
  {
    EXPECT_EQ(whole->status, dripped->status);
    EXPECT_EQ(whole->body, dripped->body);
  }
  if (!whole && !dripped)
  {
    EXPECT_EQ(whole.error().code, dripped.error().code) << bytes.substr(0, 200);
  }
  return whole;
}

TEST(ResponseParser, ReadsTheThreeFramings)
{
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")->body, "ab");
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")->body, "ab");
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")->body, "");
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\nab", {}, true)->body, "ab");
  EXPECT_EQ(parse("HTTP/1.1 204 No Content\r\n\r\n")->status, 204);
}

TEST(ResponseParser, PassesInterimAnswersOver)
{
  EXPECT_EQ(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")->body, "ab");
}

TEST(ResponseParser, CutOffAnswerIsAnError)
{
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", {}, true).error().code, ErrorCode::unavailable);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nconte", {}, true).error().code, ErrorCode::unavailable);
  EXPECT_EQ(
      parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", {}, true).error().code,
      ErrorCode::unavailable);
}

TEST(ResponseParser, LimitsHold)
{
  ResponseParser::Options options;
  options.max_body_size = 10;
  options.max_head_size = 100;
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n", options).error().code, ErrorCode::limit);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nx: " + std::string(200, 'v'), options).error().code, ErrorCode::limit);
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 50; ++i)
    many += "x: y\r\n";
  EXPECT_EQ(parse(many, options).error().code, ErrorCode::limit);
  EXPECT_EQ(
      parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n", options).error().code, ErrorCode::limit);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\n01234567890", options, true).error().code, ErrorCode::limit);
}

TEST(ResponseParser, WhatIsNoHttpIsCorrupt)
{
  EXPECT_EQ(parse("SSH-2.0-OpenSSH\r\n\r\n").error().code, ErrorCode::corrupt);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n").error().code, ErrorCode::corrupt);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n").error().code, ErrorCode::corrupt);
  EXPECT_EQ(parse("HTTP/1.1 abc OK\r\n\r\n").error().code, ErrorCode::corrupt);
}
}
}
