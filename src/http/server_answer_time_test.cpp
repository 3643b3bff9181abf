#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

// Answers take their time, by clients who do not read and by sources that make nothing: every wait for them ends.

namespace concordat::http::test
{
namespace
{
const std::string get = "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n";

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
  ASSERT_TRUE(eventually([&] { return alive == 1; }));
  char byte = 0;
  bool ended = false;
  for (int i = 0; i < 1000 && !ended; ++i)
  {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
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
    Standing(std::shared_future<void> until, std::atomic<int>& asked) : until_(std::move(until)), asked_(asked) {}
    bool next(std::string& piece) override
    {
      ++asked_;
      until_.wait();
      piece = "x";
      return true;
    }

  private:
    std::shared_future<void> until_;
    std::atomic<int>& asked_;
  };
  auto limits = patient();
  limits.piece_timeout_ms = 300;
  std::promise<void> released;
  const std::shared_future<void> until = released.get_future();
  std::atomic<int> asked{0};
  TestServer server(
      [&](const auto& exchange)
      {
        if (exchange->request().path == "/app/commit")
          return exchange->respond(Response::text("other"));
        auto response = Response::text("");
        response.stream = std::make_shared<Standing>(until, asked);
        exchange->respond(response);
      },
      limits);
  Peer waiting(server.address());
  waiting.send("GET /standing HTTP/1.1\r\nhost: x\r\n\r\n");
  const auto all = waiting.read_to_the_end();
  ASSERT_TRUE(all) << "it is not closed";
  EXPECT_TRUE(all->ends_with("\r\n\r\n")) << "more than the head of it came: " << *all;
  Peer other(server.address());
  EXPECT_EQ(other.ask(get)->body, "other");
  EXPECT_EQ(server.metrics().streams_broken_off, 1U);
  EXPECT_EQ(server.metrics().streams, 1U) << "it is held until it comes back";
  released.set_value();
  EXPECT_TRUE(eventually([&] { return server.metrics().streams == 0; }));
  EXPECT_LE(asked, 1) << "what nobody will read is not made";
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
