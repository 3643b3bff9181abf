#include "node/request_ids.h"

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

/// Members and strangers may write; every run counts.
struct RequestIdsTest : testing::Test
{
  RequestIdsTest()
  {
    node.serve(
        {appender("/write", {AuthPolicy::member_cert, AuthPolicy::user_cert, AuthPolicy::any_cert}),
         appender("/other", {AuthPolicy::member_cert}), appender("/open", {AuthPolicy::no_auth})});
  }

  /// Adds the body to what is there, as nobody wants it done twice.
  Endpoint appender(std::string path, std::vector<AuthPolicy> policies)
  {
    auto made = endpoint(
        "POST", std::move(path), Mode::read_write,
        [this](Context& context)
        {
          ++runs;
          auto& transaction = context.transaction();
          const auto all = std::string(transaction.get("records", "all").value_or("")) + context.request().body;
          if (while_running)
            std::exchange(while_running, nullptr)();
          if (fails)
            return Response::error(400, "Wrong", "as the test wants it");
          if (writes)
            transaction.put("records", "all", all);
          auto response = Response::text(answer.empty() ? "run " + std::to_string(runs) : answer, 201);
          response.headers.emplace_back("x-of-the-app", "1");
          return response;
        });
    made.policies = std::move(policies);
    return made;
  }

  static Request request(std::string id, std::string body = "a;", std::string path = "/app/write")
  {
    Request made;
    made.method = "POST";
    made.path = std::move(path);
    made.headers = {{"x-concordat-request-id", std::move(id)}};
    made.body = std::move(body);
    return made;
  }
  std::shared_ptr<FakeExchange> send(const crypto::Certificate* caller, Request made) const
  {
    sessions.push_back(node.session(caller));
    return node.send(*sessions.back(), std::move(made));
  }
  /// Answered after agreement.
  Response done(const crypto::Certificate* caller, Request made)
  {
    const auto exchange = send(caller, std::move(made));
    node.ordering.settle();
    EXPECT_EQ(exchange->answers, 1);
    return exchange->answer.value_or(Response::empty(599));
  }
  std::size_t rows()
  {
    const auto* const map = node.store.begin_fresh()->base()->find(RequestIds::table);
    return map ? map->tree.size() : 0;
  }

  FakeNode node;
  int runs = 0;
  bool fails = false;
  bool writes = true;
  std::string answer;
  std::function<void()> while_running;
  mutable std::vector<std::shared_ptr<http::Session>> sessions;
};
}

// --- attacks
TEST_F(RequestIdsTest, NobodyIsGivenAnothersAnswer)
{
  answer = "for the member alone";
  EXPECT_EQ(done(&node.member, request("id")).body, answer);
  answer = "for the user";
  const auto stranger = test::certificate("stranger");
  EXPECT_EQ(done(&node.user, request("id")).body, answer);
  answer = "for the stranger";
  EXPECT_EQ(done(&stranger, request("id")).body, answer);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(done(&node.member, request("id")).body, "for the member alone");
  EXPECT_EQ(runs, 3);
}

TEST_F(RequestIdsTest, WhomNothingTellsApartIsRefused)
{
  const auto refused = done(nullptr, request("id", "a;", "/app/open"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(code_of(refused), "InvalidHeaderValue");
  EXPECT_EQ(runs, 0);
  auto without = request("id", "a;", "/app/open");
  without.headers.clear();
  EXPECT_EQ(done(nullptr, without).status, 201) << "without an id they may write";
  EXPECT_EQ(done(&node.member, request("id", "a;", "/app/open")).status, 201);
}

TEST_F(RequestIdsTest, WhatIsNoIdIsRefusedBeforeAnythingRuns)
{
  for (const auto& id :
       {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a/b"), std::string("\0", 1),
        std::string("\xc3\xa4"), std::string("a,b"), std::string("\"a\"")})
  {
    const auto refused = done(&node.member, request(id));
    EXPECT_EQ(refused.status, 400) << id;
    EXPECT_EQ(code_of(refused), "InvalidHeaderValue");
  }
  auto twice = request("one");
  twice.headers.emplace_back("x-concordat-request-id", "one");
  EXPECT_EQ(done(&node.member, twice).status, 400);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(done(&node.member, request("Az09-._~" + std::string(56, 'z'))).status, 201);
}

TEST_F(RequestIdsTest, AnotherRequestUnderTheSameIdIsRefusedAndDoesNothing)
{
  EXPECT_EQ(done(&node.member, request("id")).status, 201);
  std::vector<Request> others{request("id", "b;"), request("id", ""), request("id", "a;", "/app/other"),
                              request("id"),       request("id"),     request("id")};
  others[3].query = "x=1";
  others[4].headers.emplace_back("content-type", "text/csv");
  others[5].headers.emplace_back("x-concordat-part", "2");
  for (const auto& other : others)
  {
    const auto refused = done(&node.member, other);
    EXPECT_EQ(refused.status, 422);
    EXPECT_EQ(code_of(refused), "RequestIdReused");
    EXPECT_EQ(txid_of(refused), "");
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(node.stored("all"), "a;");
  auto same = request("id");
  same.headers.emplace_back("user-agent", "another");
  same.headers.emplace_back("x-concordat-after", "2.5");
  node.ordering.known = consensus::TxStatus::committed;
  EXPECT_EQ(done(&node.member, same).status, 201) << "what does not change what is asked for";
}

TEST_F(RequestIdsTest, TheBoundaryBetweenPathAndQueryCounts)
{
  auto one = request("id");
  one.path = "/app/write";
  one.query = "ab";
  auto other = one;
  other.path += "ab";
  other.query = "";
  EXPECT_NE((*RequestName::of(one))->content, (*RequestName::of(other))->content);
  auto moved = one;
  moved.query = "";
  moved.body = "ab" + moved.body;
  EXPECT_NE((*RequestName::of(one))->content, (*RequestName::of(moved))->content);
}

TEST_F(RequestIdsTest, AnApplicationCannotTouchTheTable)
{
  EXPECT_FALSE(kv::is_public(RequestIds::table)) << "answers stand encrypted in the ledger";
  EXPECT_EQ(kv::rights(kv::RunBy::application, RequestIds::table), (kv::Rights{false, false}));
  node.serve(
      {endpoint(
           "POST", "/steal", Mode::read_write,
           [](Context& context)
           {
             for (const auto cursor = context.transaction().scan(RequestIds::table); cursor->next();)
               return Response::text(std::string(cursor->value()));
             return Response::text("");
           }),
       appender("/write", {AuthPolicy::member_cert})});
  EXPECT_EQ(done(&node.member, request("id")).status, 201);
  const auto stolen = done(&node.member, request("other", "", "/app/steal"));
  EXPECT_EQ(stolen.status, 500);
  EXPECT_EQ(stolen.body.find("run 1"), std::string::npos);
}

TEST_F(RequestIdsTest, ACallerWhoIsNotKnownAnyMoreDoesNotWriteTwice)
{
  EXPECT_EQ(done(&node.member, request("id")).body, "run 1");
  const auto remove = node.store.begin_fresh(kv::RunBy::node);
  remove->remove(tables::member_certs, node.member.id());
  ASSERT_TRUE(node.store.commit(*remove, {}));
  node.ordering.settle();
  EXPECT_EQ(done(&node.member, request("id")).body, "run 1") << "now let in as anybody with a certificate";
  EXPECT_EQ(done(&node.member, request("id", "a;", "/app/other")).status, 401) << "but not where only members are";
}

// --- the first answer
TEST_F(RequestIdsTest, ARepetitionGetsTheFirstAnswerWithTheFirstTransaction)
{
  const auto first = done(&node.member, request("id"));
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(txid_of(first), "2.6");
  EXPECT_EQ(done(&node.user, request("of-another", "b;")).status, 201);
  const auto again = done(&node.member, request("id"));
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, "run 1");
  EXPECT_EQ(header_of(again, "x-of-the-app"), "1");
  EXPECT_EQ(header_of(again, "x-concordat-repetition"), "true");
  EXPECT_EQ(header_of(first, "x-concordat-repetition"), "");
  EXPECT_TRUE(txid_of(again).ends_with(".6")) << txid_of(again);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(node.stored("all"), "a;b;");
  EXPECT_EQ(done(&node.member, request("new")).body, "run 3");
}

TEST_F(RequestIdsTest, ARepetitionWaitsForAFirstThatIsUnderWay)
{
  const auto first = send(&node.member, request("id"));
  const auto again = send(&node.member, request("id"));
  EXPECT_FALSE(first->answer);
  EXPECT_FALSE(again->answer) << "nothing is agreed on yet";
  node.ordering.settle();
  EXPECT_EQ(first->answer->body, "run 1");
  EXPECT_EQ(again->answer->body, "run 1");
  EXPECT_EQ(node.stored("all"), "a;");
}

TEST_F(RequestIdsTest, ARepetitionOfWhatIsLostIsNeverAnsweredAsIfItStood)
{
  const auto first = send(&node.member, request("id"));
  const auto again = send(&node.member, request("id"));
  node.ordering.settle(fail(ErrorCode::lost, "as the test wants it"));
  EXPECT_EQ(first->answer->status, 503);
  EXPECT_EQ(again->answer->status, 503);
  EXPECT_EQ(txid_of(*again->answer), "");
}

TEST_F(RequestIdsTest, TwoThatRunAtTheSameTimeWriteOnce)
{
  std::shared_ptr<FakeExchange> inner;
  while_running = [&] { inner = send(&node.member, request("id")); };
  const auto outer = send(&node.member, request("id"));
  node.ordering.settle();
  EXPECT_EQ(node.stored("all"), "a;");
  EXPECT_EQ(inner->answer->body, outer->answer->body) << "the one that came second is given the answer of the first";
  EXPECT_EQ(txid_of(*outer->answer).substr(2), "6");
  EXPECT_EQ(rows(), 1U);
}

TEST_F(RequestIdsTest, AnotherNodeKnowsItFromTheState)
{
  EXPECT_EQ(done(&node.member, request("id")).body, "run 1");
  node.store.reset(node.store.committed(), 3); // as a primary of a later view begins
  node.ordering.in_view = 3;
  const auto again = done(&node.member, request("id"));
  EXPECT_EQ(again.body, "run 1");
  EXPECT_EQ(runs, 1);
}

TEST_F(RequestIdsTest, WhatFailsOrWritesNothingMayRunAgain)
{
  fails = true;
  EXPECT_EQ(done(&node.member, request("id")).status, 400);
  fails = false;
  writes = false;
  EXPECT_EQ(done(&node.member, request("id")).body, "run 2");
  EXPECT_EQ(rows(), 0U) << "a request that wrote nothing stays one";
  writes = true;
  EXPECT_EQ(done(&node.member, request("id")).body, "run 3");
  EXPECT_EQ(done(&node.member, request("id")).body, "run 3");
}

TEST_F(RequestIdsTest, ReadsIgnoreIt)
{
  node.serve({endpoint("GET", "/read", Mode::read_only, [](Context&) { return Response::text("read"); })});
  auto read = request("not an id", "", "/app/read");
  read.method = "GET";
  EXPECT_EQ(done(nullptr, read).body, "read");
}

// --- bounds
TEST_F(RequestIdsTest, ALargeAnswerIsReplacedByAReference)
{
  answer = std::string(RequestIds::Bounds().longest_answer + 1, 'x');
  EXPECT_EQ(done(&node.member, request("large")).body, answer);
  const auto again = done(&node.member, request("large"));
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(code_of(again), "AnswerNotKept");
  EXPECT_TRUE(txid_of(again).ends_with(".6"));
  EXPECT_EQ(runs, 1);
  answer.pop_back();
  EXPECT_EQ(done(&node.member, request("just-not")).body, answer);
  EXPECT_EQ(done(&node.member, request("just-not")).body, answer);
  EXPECT_EQ(runs, 2);
}

namespace
{
struct RequestIdsBoundsTest : testing::Test
{
  static RequestIds::Bounds small()
  {
    RequestIds::Bounds bounds;
    bounds.answers = 20;
    bounds.look_interval = 5;
    return bounds;
  }
  void keep(RequestIds& ids, const RequestIds::Asker& asker, const std::string& id, const std::string& body = "x")
  {
    const auto transaction = store.begin_fresh();
    EXPECT_FALSE(ids.find(*transaction, {id, {}}, asker));
    ids.keep(*transaction, {id, {}}, asker, Response::text(body));
    ASSERT_TRUE(store.commit(*transaction, {}));
  }
  bool knows(const RequestIds& ids, const RequestIds::Asker& asker, const std::string& id)
  {
    return ids.find(*store.begin_fresh(), {id, {}}, asker).has_value();
  }
  std::size_t rows()
  {
    return store.begin_fresh()->base()->find(RequestIds::table)->tree.size();
  }

  kv::Store store;
  const RequestIds::Asker one{std::string(32, '1'), false};
  const RequestIds::Asker other{std::string(32, '2'), false};
};
}

TEST_F(RequestIdsBoundsTest, TheOldestAnswersOfAShareGoAndNoneOfAnother)
{
  RequestIds ids(small());
  keep(ids, other, "kept");
  for (int i = 0; i < 100; ++i)
  {
    keep(ids, one, "id" + std::to_string(i));
    EXPECT_LE(rows(), 22U);
    EXPECT_TRUE(knows(ids, one, "id" + std::to_string(std::max(0, i - 14))));
  }
  EXPECT_FALSE(knows(ids, one, "id0"));
  EXPECT_TRUE(knows(ids, other, "kept"));
}

TEST_F(RequestIdsBoundsTest, BytesCountToo)
{
  auto bounds = small();
  bounds.answers = 1000;
  bounds.bytes = 10'000;
  RequestIds ids(bounds);
  for (int i = 0; i < 50; ++i)
    keep(ids, one, "id" + std::to_string(i), std::string(1000, 'x'));
  EXPECT_LE(rows(), 15U);
  EXPECT_GE(rows(), 8U);
  EXPECT_TRUE(knows(ids, one, "id49"));
}

TEST_F(RequestIdsBoundsTest, StrangersHaveOneShareTogether)
{
  RequestIds ids(small());
  keep(ids, one, "a member's");
  for (int i = 0; i < 100; ++i)
    keep(ids, {std::to_string(i) + std::string(30, 's'), true}, "id");
  EXPECT_LE(rows(), 22U) << "whoever makes certificates fills no more than that";
  EXPECT_TRUE(knows(ids, one, "a member's"));
}

TEST_F(RequestIdsBoundsTest, AfterARestartWhatIsTooMuchGoesWithTheNextWrite)
{
  {
    auto wide = small();
    wide.answers = wide.look_interval = 1000;
    RequestIds ids(wide);
    for (int i = 0; i < 50; ++i)
      keep(ids, one, "id" + std::to_string(i));
  }
  RequestIds ids(small());
  keep(ids, one, "next");
  EXPECT_LE(rows(), 20U);
}

TEST_F(RequestIdsBoundsTest, LookingWhatIsFullIsNoConflictWithOthersOfTheShare)
{
  auto bounds = small();
  bounds.answers = 4;
  bounds.look_interval = 1;
  RequestIds ids(bounds);
  for (int i = 0; i < 4; ++i)
    keep(ids, one, "id" + std::to_string(i));
  const auto slow = store.begin_fresh();
  EXPECT_FALSE(ids.find(*slow, {"slow", {}}, one));
  keep(ids, one, "fast");
  ids.keep(*slow, {"slow", {}}, one, Response::text("x"));
  EXPECT_TRUE(store.commit(*slow, {}));
}
}
