#include "node/forwarded_requests.h"
#include "node/forwarder.h"
#include "node/redirection.h"
#include "node/test_support.h"

namespace concordat::node
{
namespace
{
using test::code_of;
using test::endpoint;
using test::FakeExchange;
using test::FakeNode;
using test::header_of;
using test::txid_of;
using test::writer;

std::string joined(const peer::Payload& payload)
{
  std::string out;
  for (const auto piece : payload.pieces())
    out += piece;
  return out;
}

/// A backup, a primary, and a channel between them that the test may cut.
struct ForwardingTest : testing::Test
{
  ForwardingTest()
  {
    backup.ordering.writes = false;
    backup.ordering.agreed = {
        .view = 2, .self = 1, .leader = 2, .primary = false, .configuration = {.voters = {1, 2, 3}}, .progress = {}};
    backup.services.forwarder = &forwarder;
    primary.ordering.agreed = {
        .view = 2, .self = 2, .leader = 2, .primary = true, .configuration = {.voters = {1, 2, 3}}, .progress = {}};
    for (auto* const node : {&backup, &primary})
    {
      auto& interface = node->configuration.interfaces.emplace_back();
      interface.listen.name = "main";
      node->serve({writer(&runs), reader(), guarded()});
    }
  }

  static Endpoint reader()
  {
    return endpoint(
        "GET", "/read", Mode::read_only,
        [](Context& context) { return Response::text(std::string(*context.state()->get("records", "known"))); });
  }
  static Endpoint guarded()
  {
    auto made = endpoint(
        "POST", "/guarded", Mode::read_write,
        [](Context& context)
        {
          context.transaction().put("records", "by", context.caller().id);
          return Response::text("written");
        });
    made.policies = {AuthPolicy::member_cert};
    return made;
  }

  /// What waits on the primary's pool, and for its agreement.
  void work()
  {
    while (!primary.pool.jobs.empty())
      primary.pool.take().run();
    primary.ordering.settle();
  }

  FakeNode backup;
  FakeNode primary;
  int runs = 0;
  int requests = 0;
  bool cut = false;        ///< what leaves arrives nowhere
  std::size_t largest = 0; ///< of the messages of the primary
  ForwardedRequests received{
      {.send =
           [this](const peer::NodeId& to, PeerMessage kind, const peer::Payload& payload)
       {
         EXPECT_EQ(to, "backup");
         const peer::Received message{
             "primary", peer::Lane::bulk, static_cast<std::uint16_t>(kind), joined(payload), nullptr};
         if (cut)
           return true;
         largest = std::max(largest, message.bytes.size());
         if (kind == PeerMessage::forwarded_place)
           forwarder.take_place(message);
         else if (kind == PeerMessage::forwarded_answer)
           forwarder.take(message);
         else if (kind == PeerMessage::forwarded_stream)
           forwarder.take_stream(message);
         else if (kind == PeerMessage::forwarded_piece)
           forwarder.take_piece(message);
         return true;
       },
       .run = [this](const std::shared_ptr<http::Exchange>& exchange, View view)
       { primary.dispatcher->handle_forwarded(exchange, view); }},
      primary.pool,
      primary.clock};
  Forwarder forwarder{
      {.send =
           [this](const peer::NodeId& to, PeerMessage kind, const peer::Payload& payload)
       {
         EXPECT_EQ(to, "primary");
         peer::Received message{"backup", peer::Lane::bulk, static_cast<std::uint16_t>(kind), joined(payload), nullptr};
         if (kind == PeerMessage::forwarded_more)
         {
           if (!cut)
             received.take_more(message);
           return true;
         }
         ++requests;
         if (!cut)
           received.take(std::move(message));
         return true;
       },
       .primary = [] { return Forwarder::Primary{"primary", 2}; }},
      backup.clock};
};
}

TEST_F(ForwardingTest, AWriteOnABackupRunsOnThePrimaryOnce)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write", "value");
  EXPECT_FALSE(exchange->answer) << "it waits for the primary, and no thread with it";
  EXPECT_EQ(primary.pool.jobs.size(), 1U) << "the thread of the channel does not run it";
  work();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 200);
  EXPECT_EQ(exchange->answer->body, "written");
  EXPECT_EQ(txid_of(*exchange->answer), "2.6");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(primary.stored("k"), "value");
  EXPECT_EQ(backup.ordering.submissions, 0);
}

TEST_F(ForwardingTest, ThePrimaryAuthenticatesTheCallerItself)
{
  const auto member = backup.session(&primary.member);
  auto exchange = backup.send(*member, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 200);
  EXPECT_EQ(primary.stored("by"), primary.member.id());

  const auto stranger = backup.session(&backup.member); // whom the backup knows, and the primary does not
  exchange = backup.send(*stranger, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 401);
  const auto nobody = backup.session();
  exchange = backup.send(*nobody, "POST", "/app/guarded");
  work();
  EXPECT_EQ(exchange->answer->status, 401);
  EXPECT_EQ(primary.ordering.submissions, 1);
}

TEST_F(ForwardingTest, ReadsStayUntilTheSessionHasBeenForwarded)
{
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "GET", "/app/read")->answer->body, "before");
  EXPECT_EQ(requests, 0);
  backup.send(*session, "POST", "/app/write");
  work();
  const auto read = backup.send(*session, "GET", "/app/read");
  EXPECT_EQ(requests, 2);
  work();
  EXPECT_EQ(read->answer->status, 200);
  const auto other = backup.session();
  EXPECT_EQ(backup.send(*other, "GET", "/app/read")->answer->body, "before");
  EXPECT_EQ(requests, 2) << "another session is another matter";
}

TEST_F(ForwardingTest, WhatIsNeverForwardedStays)
{
  auto never = writer(&runs);
  never.forwarding = Forwarding::never;
  for (auto* const node : {&backup, &primary})
    node->serve({never});
  const auto session = backup.session();
  backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(backup.ordering.submissions, 1);
}

TEST_F(ForwardingTest, NothingIsForwardedAgain)
{
  primary.ordering.writes = false; // it leads no longer
  const auto session = backup.session();
  auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "RequestAlreadyForwarded");
  primary.ordering.writes = true;
  primary.ordering.in_view = 3; // or leads another time
  exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "RequestAlreadyForwarded");
  EXPECT_EQ(runs, 0);
}

TEST_F(ForwardingTest, AViewThatEndsBeforeTheHandlerRunsIsALostSession)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  primary.ordering.in_view = 3;
  work();
  EXPECT_EQ(exchange->answer->status, 500);
  EXPECT_EQ(code_of(*exchange->answer), "SessionConsistencyLost");
  EXPECT_TRUE(exchange->closed);
  EXPECT_EQ(primary.ordering.submissions, 0);
}

TEST_F(ForwardingTest, AForwardedRequestIsNeverSentTwice)
{
  cut = true;
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  cut = false;
  backup.clock.seconds += 3;
  forwarder.look();
  forwarder.look();
  EXPECT_EQ(exchange->answer->status, 504);
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(runs, 0);
}

TEST_F(ForwardingTest, AnInterfaceSaysHowLongToWait)
{
  backup.configuration.interfaces[0].forwarding_timeout = std::chrono::milliseconds(10'000);
  cut = true;
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  backup.clock.seconds += 9;
  forwarder.look();
  EXPECT_FALSE(exchange->answer);
  backup.clock.seconds += 1;
  forwarder.look();
  EXPECT_EQ(exchange->answer->status, 504);
}

TEST_F(ForwardingTest, WhatIsWrongIsSaidHere)
{
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "POST", "/app/unknown")->answer->status, 404);
  EXPECT_EQ(backup.send(*session, "PUT", "/app/write")->answer->status, 405);
  backup.open = false;
  EXPECT_EQ(backup.send(*session, "POST", "/app/write")->answer->status, 404);
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, ASessionThatHasSeenAnotherViewIsLost)
{
  const auto session = backup.session();
  backup.send(*session, "GET", "/app/read");
  backup.ordering.in_view = 3;
  const auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(code_of(*exchange->answer), "SessionConsistencyLost");
  EXPECT_TRUE(exchange->closed);
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, ANodeThatIsAloneForwardsNothing)
{
  backup.ordering.agreed = {
      .view = 2, .self = 1, .leader = 0, .primary = false, .configuration = {.voters = {1}}, .progress = {}};
  backup.ordering.refusals = {ErrorCode::unavailable};
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  EXPECT_EQ(exchange->answer->status, 503);
  EXPECT_EQ(code_of(*exchange->answer), "TransactionReplicationFailed");
  EXPECT_EQ(requests, 0);
}

TEST_F(ForwardingTest, WithoutAForwarderItSaysSo)
{
  backup.services.forwarder = nullptr;
  const auto session = backup.session();
  EXPECT_EQ(backup.send(*session, "POST", "/app/write")->answer->status, 500);
}

namespace
{
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

TEST_F(ForwardingTest, GarbageOfAnotherNodeRunsNothing)
{
  for (const auto* const bytes : {"", "garbage", "\x01\x02\x03"})
    received.take({"backup", peer::Lane::bulk, 2, bytes, nullptr});
  EXPECT_TRUE(primary.pool.jobs.empty());
}

TEST_F(ForwardingTest, ARequestThatIsDroppedIsAnsweredAllTheSame)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write");
  primary.pool.jobs.clear();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 500);
}

// ---- redirection

namespace
{
struct RedirectionTest : testing::Test
{
  RedirectionTest()
  {
    node.services.node_id = "one";
    node.ordering.writes = false;
    node.ordering.agreed = {
        .view = 2, .self = 1, .leader = 2, .primary = false, .configuration = {.voters = {1, 2, 3}}, .progress = {}};
    auto& interface = node.configuration.interfaces.emplace_back();
    interface.listen.name = "main";
    interface.redirections.emplace();
    kv::State state;
    kv::WriteSet writes;
    for (const auto& [id, number] : {std::pair{"one", "1"}, {"two", "2"}, {"three", "3"}})
    {
      writes[std::string(tables::engine_ids)][id] = number;
      writes[std::string(tables::node_info)][id] =
          R"({"status":"Trusted","rpc_interfaces":{"main":{"published_address":")" + std::string(id) +
          R"(.example:80"},"other":{"bind_address":")" + id + R"(.other:81"}}})";
    }
    state.apply(writes, {2, 9});
    node.store.reset(std::make_shared<const kv::State>(state), 2);
    serve({writer(), ForwardingTest::reader()});
  }
  void serve(std::vector<Endpoint> endpoints)
  {
    node.serve(std::move(endpoints));
  }
  RedirectionTarget& to_primary()
  {
    return node.configuration.interfaces[0].redirections->to_primary;
  }
  std::string location(const std::string& query = "")
  {
    Request request;
    request.method = "POST";
    request.path = "/app/write";
    request.query = query;
    const auto session = node.session();
    const auto exchange = node.send(*session, std::move(request));
    return exchange->answer->status == 307 ? header_of(*exchange->answer, "location") : code_of(*exchange->answer);
  }

  FakeNode node;
};
}

TEST_F(RedirectionTest, AWriteGoesToThePrimaryOfTheSameInterface)
{
  EXPECT_EQ(location(), "https://two.example:80/app/write");
  EXPECT_EQ(location("a=b c&d=%/+é#"), "https://two.example:80/app/write?a=b%20c&d=%25/%2B%C3%A9%23");
  to_primary().interface = "other";
  EXPECT_EQ(location(), "https://two.other:81/app/write");
  to_primary().interface = "unknown";
  EXPECT_EQ(location(), "PrimaryNotFound");
}

TEST_F(RedirectionTest, ToAFixedAddressWhoeverLeads)
{
  to_primary().address = "service.example:443";
  node.ordering.agreed.leader = 0;
  EXPECT_EQ(location(), "https://service.example:443/app/write");
}

TEST_F(RedirectionTest, ToABackupIfTheConfigurationSaysSo)
{
  to_primary().role = RedirectionTarget::Role::backup;
  EXPECT_EQ(location(), "https://three.example:80/app/write") << "neither the primary nor this node";
}

TEST_F(RedirectionTest, WithoutAPrimaryItSaysSo)
{
  node.ordering.agreed.leader = 0;
  EXPECT_EQ(location(), "PrimaryNotFound");
  node.ordering.agreed.leader = 9; // whom the tables do not know yet
  EXPECT_EQ(location(), "PrimaryNotFound");
}

TEST_F(RedirectionTest, ReadsAndThePrimaryAnswerThemselves)
{
  const auto session = node.session();
  EXPECT_EQ(node.send(*session, "GET", "/app/unknown")->answer->status, 404);
  auto read = endpoint("GET", "/mine", Mode::read_only, [](Context&) { return Response::text("mine"); });
  auto explicitly = read;
  explicitly.path = "/theirs";
  explicitly.forwarding = Forwarding::sometimes;
  serve({read, explicitly, writer()});
  EXPECT_EQ(node.send(*session, "GET", "/app/mine")->answer->status, 200);
  EXPECT_EQ(node.send(*session, "GET", "/app/theirs")->answer->status, 307);
  node.ordering.writes = true;
  EXPECT_EQ(node.send(*session, "GET", "/app/theirs")->answer->status, 200);
  const auto written = node.send(*session, "POST", "/app/write");
  node.ordering.settle();
  EXPECT_EQ(written->answer->status, 200);
}
TEST_F(ForwardingTest, AWriteThatIsNotAgreedOnInTimeIsToldItsTransaction)
{
  const auto session = backup.session();
  const auto exchange = backup.send(*session, "POST", "/app/write", "value");
  primary.pool.take().run(); // it has its place, and nobody agrees
  backup.clock.seconds += 10;
  forwarder.look();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 504);
  EXPECT_EQ(txid_of(*exchange->answer), "2.6");
}

TEST_F(ForwardingTest, AWriteThatIsSentAgainThroughAnotherNodeIsDoneOnce)
{
  Request request;
  request.method = "POST";
  request.path = "/app/guarded";
  request.headers = {{"x-concordat-request-id", "one"}};
  const auto session = backup.session(&primary.member);
  cut = false;
  const auto first = backup.send(*session, request);
  primary.pool.take().run();
  cut = true; // the answer is lost
  primary.ordering.settle();
  backup.clock.seconds += 10;
  forwarder.look();
  EXPECT_EQ(first->answer->status, 504);
  cut = false;
  const auto other = primary.session(&primary.member);
  const auto again = primary.send(*other, request);
  work();
  EXPECT_EQ(again->answer->status, 200);
  EXPECT_EQ(again->answer->body, "written");
  EXPECT_TRUE(txid_of(*again->answer).ends_with(".6"));
  EXPECT_EQ(primary.ordering.submissions, 1);
}
}
