#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
using test::code_of;
using test::endpoint;
using test::FakeNode;
using test::header_of;
using test::txid_of;
using test::writer;

Endpoint reader(Mode mode)
{
  return endpoint(
      "GET", "/read", mode, [](Context& context)
      { return Response::text(std::string(context.state()->get("records", "known").value_or("-"))); });
}

Request executed(std::string body)
{
  Request request;
  request.method = "POST";
  request.path = "/app/write";
  request.headers = {{"x-concordat-respond", "executed"}};
  request.body = std::move(body);
  return request;
}

const Error lost{ErrorCode::lost, "it never will be", nullptr};
}

TEST(Read, IsAnsweredFromCommittedStateWithTheIdOfThatState)
{
  FakeNode node;
  node.serve({writer(), reader(Mode::read_only)});
  node.send("POST", "/app/write", "not committed");
  const auto read = node.send("GET", "/app/read");
  ASSERT_TRUE(read->answer);
  EXPECT_EQ(read->answer->body, "before");
  EXPECT_EQ(txid_of(*read->answer), "2.5");
  node.ordering.settle();
  EXPECT_EQ(txid_of(*node.send("GET", "/app/read")->answer), "2.6");
}

TEST(Read, ThatTouchesNothingOrFailsHasNoId)
{
  FakeNode node;
  auto guarded = endpoint("GET", "/untouched", Mode::read_only, [](Context&) { return Response::text("x"); });
  guarded.policies = {AuthPolicy::member_cert};
  auto failing = endpoint(
      "GET", "/failing", Mode::read_only,
      [](Context& context)
      {
        (void)context.state()->has("records", "known");
        return Response::error(404, "KeyNotFound", "");
      });
  node.serve({guarded, failing});
  const auto session = node.session(&node.member);
  const auto untouched = node.send(*session, "GET", "/app/untouched");
  EXPECT_EQ(untouched->answer->status, 200);
  EXPECT_EQ(txid_of(*untouched->answer), "") << "that the caller was looked up is not the handler's reading";
  EXPECT_EQ(txid_of(*node.send("GET", "/app/failing")->answer), "");
}

TEST(Command, HasACallerAndNoId)
{
  FakeNode node;
  auto who =
      endpoint("GET", "/who", Mode::command, [](Context& context) { return Response::text(context.caller().id); });
  who.policies = {AuthPolicy::member_cert};
  node.serve({who});
  const auto session = node.session(&node.member);
  const auto answer = node.send(*session, "GET", "/app/who");
  EXPECT_EQ(answer->answer->body, node.member.id());
  EXPECT_EQ(txid_of(*answer->answer), "");
}

TEST(Write, IsAnsweredOnceItIsCommittedWithItsOwnId)
{
  FakeNode node;
  node.serve({writer()});
  const auto write = node.send("POST", "/app/write", "v");
  EXPECT_FALSE(write->answer) << "not before it is agreed on";
  node.ordering.settle();
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(write->answer->status, 200);
  EXPECT_EQ(txid_of(*write->answer), "2.6");
  EXPECT_EQ(node.stored("k"), "v");
}

TEST(Write, ThatIsLostIsNeverAnsweredAsIfItStood)
{
  FakeNode node;
  node.serve({writer()});
  const auto write = node.send("POST", "/app/write", "v");
  node.ordering.settle(std::unexpected(lost));
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(write->answer->status, 503);
  EXPECT_EQ(code_of(*write->answer), "TransactionReplicationFailed");
  EXPECT_NE(write->answer->body.find("Nothing was written"), std::string::npos) << write->answer->body;
  EXPECT_EQ(txid_of(*write->answer), "2.6") << "which is invalid for ever";
}

TEST(Write, OfUnknownFateSaysWhichItIs)
{
  FakeNode node;
  node.serve({writer()});
  const auto write = node.send("POST", "/app/write", "v");
  node.ordering.settle(fail(ErrorCode::unavailable, "as the test wants it"));
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(write->answer->status, 503);
  EXPECT_EQ(code_of(*write->answer), "TransactionReplicationFailed");
  EXPECT_NE(write->answer->body.find("is not known"), std::string::npos) << write->answer->body;
  EXPECT_EQ(txid_of(*write->answer), "2.6") << "for whoever asks what became of it";
}

TEST(Write, ThatIsAnsweredEarlyHasItsPlaceInTheOrder)
{
  FakeNode node;
  node.serve({writer()});
  const auto session = node.session();
  const auto early = node.send(*session, executed("v"));
  ASSERT_TRUE(early->answer);
  EXPECT_EQ(early->answer->status, 200);
  EXPECT_EQ(txid_of(*early->answer), "2.6");
  node.ordering.settle();
  EXPECT_EQ(early->answers, 1);
  EXPECT_EQ(node.stored("k"), "v");
}

TEST(Write, ThatIsRefusedIsNeverAnswered2xxAlsoNotEarly)
{
  FakeNode node;
  node.serve({writer()});
  const std::pair<ErrorCode, std::string> refusals[] = {
      {ErrorCode::unavailable, "TransactionReplicationFailed"}, {ErrorCode::limit, "TooManyPendingTransactions"}};
  for (const auto& [code, name] : refusals)
    for (const bool early : {false, true})
    {
      node.ordering.refusals = {code};
      const auto session = node.session();
      auto request = executed("v");
      if (!early)
        request.headers.clear();
      const auto refused = node.send(*session, request);
      ASSERT_TRUE(refused->answer);
      EXPECT_EQ(refused->answer->status, 503);
      EXPECT_EQ(code_of(*refused->answer), name);
      EXPECT_EQ(header_of(*refused->answer, "retry-after"), code == ErrorCode::limit ? "3" : "");
      EXPECT_EQ(txid_of(*refused->answer), "");
      EXPECT_EQ(refused->answers, 1);
    }
}

TEST(Write, IsRunAgainAfterAConflictAndMakesWhatIsKeptOnce)
{
  FakeNode node;
  int runs = 0;
  int parsed = 0;
  auto counter = endpoint(
      "POST", "/count", Mode::read_write,
      [&](Context& context)
      {
        const auto& step = context.once<std::string>([&] { return ++parsed, context.request().body; });
        auto& transaction = context.transaction();
        const auto now = std::string(transaction.get("records", "count").value_or(""));
        if (++runs == 1) // somebody else is faster
        {
          const auto other = node.store.begin_fresh();
          other->put("records", "count", "other,");
          EXPECT_TRUE(node.store.commit(*other, {}));
        }
        transaction.put("records", "count", now + step);
        return Response::text(now);
      });
  node.serve({counter});
  const auto count = node.send("POST", "/app/count", "mine");
  node.ordering.settle();
  ASSERT_TRUE(count->answer);
  EXPECT_EQ(count->answer->body, "other,") << "the answer is that of the run that was committed";
  EXPECT_EQ(txid_of(*count->answer), "2.7");
  EXPECT_EQ(node.stored("count"), "other,mine");
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(parsed, 1);
}

TEST(Write, ThatAlwaysConflictsIsGivenUpAfterThirtyAttempts)
{
  FakeNode node;
  int runs = 0;
  node.serve({writer(&runs)});
  node.ordering.refusals.assign(29, ErrorCode::conflict);
  const auto just = node.send("POST", "/app/write", "v");
  EXPECT_FALSE(just->answer);
  EXPECT_EQ(runs, 30);
  node.ordering.settle();
  EXPECT_EQ(just->answer->status, 200);

  runs = 0;
  node.ordering.refusals.assign(30, ErrorCode::conflict);
  const auto refused = node.send("POST", "/app/write", "w");
  ASSERT_TRUE(refused->answer);
  EXPECT_EQ(refused->answer->status, 503);
  EXPECT_EQ(code_of(*refused->answer), "TransactionCommitAttemptsExceedLimit");
  EXPECT_EQ(header_of(*refused->answer, "retry-after"), "3");
  EXPECT_EQ(runs, 30);
  EXPECT_EQ(node.stored("k"), "v");
}

TEST(Write, ThatFailsWritesNothing)
{
  FakeNode node;
  node.serve({endpoint(
      "POST", "/write", Mode::read_write,
      [](Context& context)
      {
        context.transaction().put("records", "k", "v");
        return Response::error(400, "InvalidInput", "no");
      })});
  const auto refused = node.send("POST", "/app/write");
  EXPECT_EQ(refused->answer->status, 400);
  EXPECT_EQ(txid_of(*refused->answer), "");
  EXPECT_EQ(node.ordering.submissions, 0);
}

TEST(Write, AuthenticatesWithinItsTransaction)
{
  FakeNode node;
  auto guarded = writer();
  guarded.policies = {AuthPolicy::member_cert};
  node.serve({guarded});
  const auto session = node.session(&node.member);
  node.ordering.before_submit = [&]
  {
    // The member is removed between the handler and the order.
    node.ordering.before_submit = {};
    const auto removal = node.store.begin_fresh(kv::RunBy::node);
    removal->remove(tables::member_certs, node.member.id());
    ASSERT_TRUE(node.store.commit(*removal, {}));
  };
  const auto late = node.send(*session, "POST", "/app/write", "v");
  ASSERT_TRUE(late->answer);
  EXPECT_EQ(late->answer->status, 401);
  EXPECT_EQ(node.stored("k"), "nothing");
}

TEST(Write, ToAMapThatIsNotTheApplicationsIsRefusedAndOrdersNothing)
{
  FakeNode node;
  for (const std::string map :
       {"public:ccf.internal.signatures", "public:ccf.gov.members.certs", "ccf.internal.x", "public:ccf.x"})
  {
    int caught = 0;
    node.serve(
        {endpoint(
             "POST", "/put", Mode::read_write,
             [&](Context& context)
             {
               context.transaction().put("records", "k", "beside it");
               context.transaction().put(map, "k", "v");
               return Response::text("written");
             }),
         endpoint(
             "POST", "/catch", Mode::read_write,
             [&](Context& context)
             {
               try
               {
                 context.transaction().remove(map, "k");
               }
               catch (const AccessDenied&)
               {
                 ++caught;
               }
               return Response::text("refused");
             })});
    const auto refused = node.send("POST", "/app/put");
    ASSERT_TRUE(refused->answer);
    EXPECT_EQ(refused->answer->status, 500);
    EXPECT_EQ(code_of(*refused->answer), "InternalError");
    EXPECT_NE(refused->answer->body.find("may not write the map '" + map + "'"), std::string::npos);
    const auto went_on = node.send("POST", "/app/catch");
    node.ordering.settle();
    ASSERT_TRUE(went_on->answer);
    EXPECT_EQ(went_on->answer->body, "refused");
    EXPECT_EQ(caught, 1);
    EXPECT_EQ(node.stored("k"), "nothing");
    EXPECT_EQ(node.store.head_seqno(), 5U);
  }
}

TEST(Write, HasTheRightsOfItsFrontend)
{
  FakeNode node;
  std::vector<Frontend> frontends(2);
  for (std::size_t i = 0; i < frontends.size(); ++i)
  {
    frontends[i].prefix = i == 0 ? "/app" : "/node";
    frontends[i].open = [] { return true; };
    frontends[i].runs_by = i == 0 ? kv::RunBy::application : kv::RunBy::node;
    frontends[i].endpoints = {endpoint(
        "POST", "/put", Mode::read_write,
        [](Context& context)
        {
          context.transaction().put("ccf.internal.x", "k", "v");
          return Response::text("written");
        })};
  }
  node.dispatcher = std::make_unique<Dispatcher>(node.services, std::move(frontends));
  EXPECT_EQ(node.send("POST", "/app/put")->answer->status, 500);
  EXPECT_FALSE(node.send("POST", "/node/put")->answer);
  node.ordering.settle();
  EXPECT_EQ(node.store.head_seqno(), 6U);
}

TEST(Read, TellsOfMembersAndUsersWithoutTheirTables)
{
  FakeNode node;
  node.serve({endpoint(
      "POST", "/who", Mode::read_only,
      [](Context& context)
      {
        const auto& id = context.request().body;
        const auto member = context.member(id);
        const auto user = context.user(id);
        return Response::text(
            std::string(context.is_member(id) ? "known " : "") + (member ? "member " + member->certificate_pem : "") +
            (user ? "user " + user->certificate_pem : ""));
      })});
  EXPECT_EQ(node.send("POST", "/app/who", node.member.id())->answer->body, "known member " + node.member.pem());
  EXPECT_EQ(node.send("POST", "/app/who", node.user.id())->answer->body, "user " + node.user.pem());
  EXPECT_EQ(node.send("POST", "/app/who", "nobody")->answer->body, "");
}

TEST(Read, OfAPrimaryWaitsUntilTheOthersSayThatItStillLeads)
{
  FakeNode node;
  node.ordering.is_fresh = false;
  int runs = 0;
  node.serve({endpoint(
      "GET", "/read", Mode::read_only,
      [&runs](Context& context)
      {
        ++runs;
        return Response::text(std::string(*context.state()->get("records", "known")));
      })});
  const auto good = node.send("GET", "/app/read");
  EXPECT_FALSE(good->answer);
  EXPECT_EQ(runs, 0) << "what it would see now may be old already";
  ASSERT_EQ(node.ordering.asked.size(), 1U);
  node.ordering.asked[0]({});
  EXPECT_EQ(good->answer->body, "before");

  const auto deposed = node.send("GET", "/app/read");
  node.ordering.asked[1](fail(ErrorCode::unavailable, "another node leads"));
  EXPECT_EQ(deposed->answer->status, 503);
  EXPECT_EQ(runs, 1);
}

TEST(Write, ThatOnlyReadIsRefusedByANodeThatLeadsAndIsNotPrimaryYet)
{
  FakeNode node;
  node.serve({endpoint(
      "POST", "/look", Mode::read_write,
      [](Context& context) { return Response::text(std::string(*context.transaction().get("records", "known"))); })});
  node.ordering.writes = false;
  node.ordering.agreed.self = 1;
  node.ordering.agreed.leader = 1;
  node.ordering.agreed.configuration.voters = {1, 2, 3};
  const auto exchange = node.send("POST", "/app/look");
  node.ordering.settle();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 503) << "others may have been told of more than this node knows";
}

TEST(Write, ThatOnlyReadIsAnsweredOnceTheOthersSayThatThisNodeStillLeads)
{
  FakeNode node;
  node.serve({endpoint(
      "POST", "/look", Mode::read_write,
      [](Context& context) { return Response::text(std::string(*context.transaction().get("records", "known"))); })});
  const auto exchange = node.send("POST", "/app/look");
  node.ordering.is_fresh = false;
  node.ordering.settle();
  EXPECT_FALSE(exchange->answer);
  ASSERT_EQ(node.ordering.asked.size(), 1U);
  node.ordering.asked[0](fail(ErrorCode::unavailable, "another node leads"));
  EXPECT_EQ(exchange->answer->status, 503);
}

TEST(Barrier, WaitsForTheStateThatWasReadByItsWholeId)
{
  FakeNode node;
  node.serve({writer(), reader(Mode::read_write)});
  node.send("POST", "/app/write", "v");
  (void)node.store.begin_fresh(); // later transactions begin behind the write
  const auto read = node.send("GET", "/app/read");
  EXPECT_FALSE(read->answer);
  ASSERT_EQ(node.ordering.barriers.size(), 1U);
  EXPECT_EQ(node.ordering.barriers[0].id, (TxId{2, 6}));
  node.ordering.settle();
  EXPECT_EQ(read->answer->status, 200);
  EXPECT_EQ(txid_of(*read->answer), "2.6");
}

TEST(Barrier, AnswersNothingOfAStateThatIsLostOrUnknown)
{
  for (const auto code : {ErrorCode::lost, ErrorCode::unavailable})
  {
    FakeNode node;
    node.serve({reader(Mode::read_write)});
    const auto read = node.send("GET", "/app/read");
    node.ordering.settle(std::unexpected(Error{code, "no", nullptr}));
    ASSERT_TRUE(read->answer);
    EXPECT_EQ(read->answer->status, 503);
    EXPECT_EQ(code_of(*read->answer), "TransactionReplicationFailed");
    EXPECT_EQ(read->answer->body.find("before"), std::string::npos);
    EXPECT_EQ(txid_of(*read->answer), "");
  }
}

TEST(SessionConsistency, AViewThatEndsBetweenTwoAttemptsWritesNothing)
{
  FakeNode node;
  int runs = 0;
  node.serve({writer(&runs)});
  node.ordering.refusals = {ErrorCode::conflict};
  node.ordering.before_submit = [&] { node.ordering.in_view = 3; };
  const auto write = node.send("POST", "/app/write", "v");
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(code_of(*write->answer), "SessionConsistencyLost");
  EXPECT_TRUE(write->closed);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(node.stored("k"), "nothing");
}

TEST(SessionConsistency, AWriteThatFellIntoAnotherViewIsToldWithItsId)
{
  for (const bool early : {false, true})
  {
    FakeNode node;
    node.serve({endpoint(
        "POST", "/write", Mode::read_write,
        [&](Context& context)
        {
          context.transaction().put("records", "k", "v");
          return Response::text("written");
        })});
    // The view moves on after the session was looked at, and the transaction still does not conflict.
    node.store.reset(node.store.committed(), 3);
    const auto session = node.session();
    auto request = executed("v");
    if (!early)
      request.headers.clear();
    const auto write = node.send(*session, request);
    node.ordering.settle();
    ASSERT_TRUE(write->answer);
    EXPECT_EQ(code_of(*write->answer), "SessionConsistencyLost");
    EXPECT_EQ(txid_of(*write->answer), "3.6") << "it stands: its caller can find out";
    EXPECT_TRUE(write->closed);
    EXPECT_EQ(write->answers, 1);
  }
}
}
