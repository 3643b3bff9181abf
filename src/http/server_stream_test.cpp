#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace concordat::http::test
{
namespace
{
const std::string get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Counts what is asked of it, and itself.
class Source final : public BodySource
{
public:
  struct Counts
  {
    std::atomic<int> alive{0};
    std::atomic<int> pieces{0};
  };

  Source(Counts& counts, int pieces, std::size_t size) : counts_(counts), left_(pieces), size_(size)
  {
    ++counts_.alive;
  }
  ~Source() override
  {
    --counts_.alive;
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  bool next(std::string& piece) override
  {
    if (left_-- == 0)
      return false;
    ++counts_.pieces;
    piece.assign(size_, static_cast<char>('a' + left_ % 26));
    return true;
  }

private:
  Counts& counts_;
  int left_;
  std::size_t size_;
};

Response streamed(std::shared_ptr<BodySource> source)
{
  auto response = Response::text("");
  response.stream = std::move(source);
  return response;
}

int pieces_once_it_stands_still(const Source::Counts& counts)
{
  int before = 0;
  EXPECT_TRUE(eventually(
      [&]
      {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return std::exchange(before, counts.pieces.load()) == counts.pieces && before > 0;
      }));
  return before;
}

TEST(ServerStream, IsSentInChunksAndKeepsTheConnection)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange) { exchange->respond(streamed(std::make_shared<Source>(counts, 3, 5))); });
  Peer peer(server.address());
  for (int i = 0; i < 2; ++i)
  {
    const auto answer = peer.ask(get);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->headers.at("transfer-encoding"), "chunked");
    EXPECT_FALSE(answer->headers.contains("content-length"));
    EXPECT_EQ(answer->body, "cccccbbbbbaaaaa");
  }
  EXPECT_TRUE(eventually([&] { return counts.alive == 0; }));
}

TEST(ServerStream, EmptyPiecesDoNotEndIt)
{
  class Gaps final : public BodySource
  {
  public:
    bool next(std::string& piece) override
    {
      piece = ++at_ % 2 == 0 ? std::to_string(at_) : "";
      return at_ <= 6;
    }

  private:
    int at_ = 0;
  };
  TestServer server([](const auto& exchange) { exchange->respond(streamed(std::make_shared<Gaps>())); });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->body, "246");
}

TEST(ServerStream, NothingAtAllIsAnEmptyBody)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange) { exchange->respond(streamed(std::make_shared<Source>(counts, 0, 0))); });
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->body, "");
  EXPECT_EQ(peer.ask(get)->status, 200);
}

TEST(ServerStream, SlowReaderHoldsItBack)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange)
                    { exchange->respond(streamed(std::make_shared<Source>(counts, 2000, 64 << 10))); });
  PeerOptions options;
  options.receive_buffer = 8192;
  Peer peer(server.address(), options);
  peer.send(get);
  EXPECT_LT(pieces_once_it_stands_still(counts), 500);
  const auto answer = peer.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.size(), std::size_t{2000} * (64 << 10));
  EXPECT_EQ(counts.pieces, 2000);
}

TEST(ServerStream, OthersAreServedMeanwhile)
{
  Source::Counts counts;
  TestServer server(
      [&](const auto& exchange)
      {
        if (exchange->request().path == "/")
          exchange->respond(streamed(std::make_shared<Source>(counts, 1'000'000'000, 64 << 10)));
        else
          exchange->respond(Response::text("other"));
      },
      {}, 1);
  Peer endless(server.address());
  endless.send(get);
  std::atomic<bool> stop{false};
  std::thread reader(
      [&]
      {
        while (!stop && endless.receive())
          ;
        shutdown(endless.socket(), SHUT_RDWR);
      });
  Peer other(server.address());
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(other.ask("GET /other HTTP/1.1\r\nhost: x\r\n\r\n")->body, "other");
  stop = true;
  reader.join();
}

TEST(ServerStream, SourceEndsWhenTheClientGoes)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange)
                    { exchange->respond(streamed(std::make_shared<Source>(counts, 1'000'000'000, 64 << 10))); });
  {
    Peer peer(server.address());
    peer.send(get);
    EXPECT_TRUE(peer.receive());
  }
  EXPECT_TRUE(eventually([&] { return counts.alive == 0 && server.metrics().active == 0; }));
}

TEST(ServerStream, SourceEndsWithTheServer)
{
  Source::Counts counts;
  auto server = std::make_unique<TestServer>(
      [&](const auto& exchange)
      { exchange->respond(streamed(std::make_shared<Source>(counts, 1'000'000'000, 64 << 10))); });
  Peer peer(server->address());
  peer.send(get);
  EXPECT_TRUE(peer.receive());
  server.reset();
  EXPECT_EQ(counts.alive, 0);
}

TEST(ServerStream, HeadHasTheHeadersOfGetAndAsksNothingOfTheSource)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange) { exchange->respond(streamed(std::make_shared<Source>(counts, 3, 5))); });
  Peer peer(server.address());
  peer.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
  const auto head = peer.read_answer(true);
  EXPECT_EQ(counts.pieces, 0);
  EXPECT_TRUE(eventually([&] { return counts.alive == 0; }));
  const auto whole = peer.ask(get);
  EXPECT_EQ(whole->body, "cccccbbbbbaaaaa");
  EXPECT_EQ(whole->headers, head->headers);
}

TEST(ServerStream, IsMadeOffTheThreadsThatServe)
{
  // The source stands still until others were served, on the only thread there is for that.
  class Standing final : public BodySource
  {
  public:
    explicit Standing(std::shared_future<void> until) : until_(std::move(until)) {}
    bool next(std::string& piece) override
    {
      piece = "made";
      until_.wait();
      return std::exchange(more_, false);
    }

  private:
    std::shared_future<void> until_;
    bool more_ = true;
  };
  std::promise<void> served;
  const std::shared_future<void> until = served.get_future();
  TestServer server(
      [&](const auto& exchange)
      {
        exchange->respond(
            exchange->request().path == "/" ? streamed(std::make_shared<Standing>(until)) : Response::text("other"));
      },
      {}, 1);
  Peer waiting(server.address());
  waiting.send(get);
  Peer other(server.address());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(other.ask("GET /other HTTP/1.1\r\nhost: x\r\n\r\n")->body, "other");
  served.set_value();
  EXPECT_EQ(waiting.read_answer()->body, "made");
}

TEST(ServerStream, FewPiecesAreMadeAheadOfAClientWhoDoesNotRead)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange)
                    { exchange->respond(streamed(std::make_shared<Source>(counts, 2000, std::size_t{1} << 20))); });
  PeerOptions options;
  options.receive_buffer = 8192;
  Peer peer(server.address(), options);
  peer.send(get);
  // The kernel takes some; then a piece is being sent, and three lie ready.
  EXPECT_TRUE(peer.receive());
  EXPECT_LT(pieces_once_it_stands_still(counts), 30);
}

// The end of a large snapshot takes long.
TEST(ServerStream, SourceIsLetGoOfOffTheThreadsThatServe)
{
  class Kept final : public BodySource
  {
  public:
    struct Seen
    {
      std::atomic<int> pieces{0};
      std::promise<std::thread::id> made;
      std::promise<std::thread::id> end;
    };

    Kept(Seen& seen, std::size_t first) : seen_(seen), first_(first) {}
    ~Kept() override
    {
      seen_.end.set_value(std::this_thread::get_id());
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    bool next(std::string& piece) override
    {
      if (seen_.pieces == 5)
        return false;
      if (++seen_.pieces == 1)
        seen_.made.set_value(std::this_thread::get_id());
      piece.assign(seen_.pieces == 1 ? first_ : 1, 'x');
      return true;
    }

  private:
    Seen& seen_;
    std::size_t first_; ///< bytes
  };
  for (const bool whole : {true, false})
  {
    // The kernel does not take the larger one: it is being sent for as long as nobody reads.
    const std::size_t first = whole ? 1 << 20 : 32 << 20;
    Kept::Seen seen;
    Source::Counts counts;
    TestServer server(
        [&](const auto& exchange)
        {
          exchange->respond(
              exchange->request().path == "/" ? streamed(std::make_shared<Kept>(seen, first))
                                              : streamed(std::make_shared<Source>(counts, 1, 1)));
        },
        patient(), 1, nullptr, 1);
    {
      PeerOptions options;
      options.receive_buffer = whole ? 0 : 8192;
      Peer peer(server.address(), options);
      peer.send(get);
      if (whole)
      {
        EXPECT_TRUE(peer.read_answer());
      }
      else
      {
        // One is being sent, three lie ready, and the only thread that asks sources is done with this one.
        EXPECT_TRUE(eventually([&] { return seen.pieces == 4; }));
        Peer other(server.address());
        EXPECT_TRUE(other.ask("GET /other HTTP/1.1\r\nhost: x\r\n\r\n"));
      }
    }
    EXPECT_EQ(seen.end.get_future().get(), seen.made.get_future().get()) << whole;
  }
}

TEST(ServerStream, LargePieceIsSentWhole)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange)
                    { exchange->respond(streamed(std::make_shared<Source>(counts, 3, (std::size_t{1} << 20) + 7))); });
  Peer peer(server.address());
  const auto size = (std::size_t{1} << 20) + 7;
  EXPECT_TRUE(peer.ask(get)->body == std::string(size, 'c') + std::string(size, 'b') + std::string(size, 'a'));
}

TEST(ServerStream, ManyAtOnceAreAllWhole)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange)
                    { exchange->respond(streamed(std::make_shared<Source>(counts, 50, 10'000))); });
  std::vector<std::future<bool>> clients;
  for (int i = 0; i < 10; ++i)
    clients.push_back(std::async(
        std::launch::async,
        [&]
        {
          Peer peer(server.address());
          for (int round = 0; round < 5; ++round)
            if (const auto answer = peer.ask(get); !answer || answer->body.size() != 500'000)
              return false;
          return true;
        }));
  for (auto& client : clients)
    EXPECT_TRUE(client.get());
  EXPECT_TRUE(eventually([&] { return counts.alive == 0; }));
}

TEST(ServerStream, OldClientGetsItUntilTheEnd)
{
  Source::Counts counts;
  TestServer server([&](const auto& exchange) { exchange->respond(streamed(std::make_shared<Source>(counts, 3, 5))); });
  Peer peer(server.address());
  peer.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  const auto all = peer.read_to_the_end();
  ASSERT_TRUE(all) << "it is not closed";
  EXPECT_TRUE(all->ends_with("\r\n\r\ncccccbbbbbaaaaa")) << *all;
}

TEST(ServerStream, BrokenSourceBreaksTheConnectionOff)
{
  class Broken final : public BodySource
  {
  public:
    bool next(std::string& piece) override
    {
      if (++at_ > 2)
        throw std::runtime_error("broken");
      piece = "part";
      return true;
    }

  private:
    int at_ = 0;
  };
  TestServer server([](const auto& exchange) { exchange->respond(streamed(std::make_shared<Broken>())); });
  Peer peer(server.address());
  peer.send(get);
  const auto all = peer.read_to_the_end();
  ASSERT_TRUE(all) << "it is not closed";
  // What was not on its way when the source broke is left: it may be all of it.
  EXPECT_TRUE(all->empty() || all->starts_with("HTTP/1.1 200")) << *all;
  EXPECT_EQ(all->find("\r\n0\r\n"), std::string::npos) << "it looks whole: " << *all;
}
}
}
