#include "node/node_endpoints.h"

#include "ledger/entry.h"
#include "node/json.h"
#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;
using consensus::TxStatus;
using test::code_of;
using test::FakeNode;
using test::header_of;

struct Endpoints : testing::Test
{
  Endpoints()
  {
    node.serve({}, node_endpoints(node.services));
  }
  Response get(const std::string& target, const std::string& method = "GET", const std::string& body = "")
  {
    Request request;
    request.method = method;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == target.npos ? "" : target.substr(question + 1);
    request.body = body;
    sessions.push_back(node.session());
    const auto exchange = node.send(*sessions.back(), std::move(request));
    while (!node.pool.jobs.empty())
      node.pool.take().run();
    return exchange->answer.value_or(Response::empty(0));
  }
  json::value body(const std::string& target)
  {
    return json::parse(get(target).body);
  }
  void put(std::string_view table, std::string_view key, const json::value& value)
  {
    kv::State state(*node.store.committed());
    state.apply({{std::string(table), {{std::string(key), to_canonical_json(value)}}}}, {2, state.seqno() + 1});
    node.store.reset(std::make_shared<const kv::State>(state), 2);
  }

  FakeNode node;
  std::vector<std::shared_ptr<http::Session>> sessions;
};
}

TEST_F(Endpoints, CommitTellsTheIdAndTheViewsIfAsked)
{
  node.ordering.history.begin(2, 1);
  node.ordering.history.begin(4, 6);
  node.ordering.in_view = 4;
  EXPECT_EQ(to_canonical_json(body("/node/commit")), R"({"transaction_id":"2.5"})");
  EXPECT_EQ(
      to_canonical_json(body("/node/commit?view_history=true").at("view_history")), R"(["1.1","2.1","3.6","4.6"])");
  EXPECT_EQ(to_canonical_json(body("/node/commit?view_history_since=4").at("view_history")), R"(["4.6"])");
  EXPECT_FALSE(body("/node/commit?view_history_since=nonsense").get_object().contains("view_history"));
  EXPECT_EQ(get("/node/commit?view_history=perhaps").status, 400);
  EXPECT_EQ(get("/node/commit?view_history_since=0").status, 400);
  EXPECT_EQ(get("/node/commit?view_history_since=5").status, 404);
}

TEST_F(Endpoints, TxTellsWhatIsKnownOfATransaction)
{
  node.ordering.known = TxStatus::pending;
  EXPECT_EQ(to_canonical_json(body("/app/tx?transaction_id=2.7")), R"({"status":"Pending","transaction_id":"2.7"})");
  for (const auto* const wrong :
       {"", "?transaction_id=", "?transaction_id=2", "?transaction_id=2.0", "?transaction_id=x"})
    EXPECT_EQ(get("/app/tx" + std::string(wrong)).status, 400) << wrong;
}

TEST_F(Endpoints, ReceiptIsForCommittedTransactionsAlone)
{
  EXPECT_EQ(code_of(get("/app/receipt")), "TransactionInvalid");
  EXPECT_EQ(code_of(get("/app/receipt?transaction_id=2")), "TransactionInvalid");
  node.ordering.known = TxStatus::invalid;
  EXPECT_EQ(code_of(get("/app/receipt?transaction_id=2.5")), "TransactionInvalid");
  for (const auto status : {TxStatus::unknown, TxStatus::pending})
  {
    node.ordering.known = status;
    const auto answer = get("/app/receipt?transaction_id=2.5");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(code_of(answer), "TransactionPendingOrUnknown");
    EXPECT_EQ(header_of(answer, "cache-control"), "no-cache");
  }
  node.ordering.known = TxStatus::committed;
  EXPECT_EQ(get("/app/receipt?transaction_id=2.5").status, 500) << "this order has no ledger";
}

TEST_F(Endpoints, WhatReadsTheDiskOrMakesMuchRunsOnThePool)
{
  for (const auto* const path : {"/app/receipt", "/node/api"})
  {
    sessions.push_back(node.session());
    node.send(*sessions.back(), "GET", path);
    ASSERT_EQ(node.pool.jobs.size(), 1U) << path;
    node.pool.take().run();
  }
  for (const auto* const path : {"/app/tx", "/node/commit", "/node/state", "/node/network", "/node/ready/app"})
  {
    sessions.push_back(node.session());
    EXPECT_TRUE(node.send(*sessions.back(), "GET", path)->answer) << path;
  }
}

TEST_F(Endpoints, ReadinessEndsWithTheAnnouncementOfTheStop)
{
  EXPECT_EQ(get("/node/ready/app").status, 503) << "there is no service";
  put(tables::service_info, ledger::single_key, json::object{{"status", "Opening"}});
  EXPECT_EQ(get("/node/ready/app").status, 503);
  EXPECT_EQ(get("/node/ready/gov").status, 204);
  put(tables::service_info, ledger::single_key, json::object{{"status", "Open"}});
  EXPECT_EQ(get("/node/ready/app").status, 204);
  node.services.stop_notice = true;
  EXPECT_EQ(get("/node/ready/app").status, 503);
  EXPECT_EQ(get("/node/ready/gov").status, 503);
  EXPECT_EQ(body("/node/state").at("stop_notice"), true);
}

TEST_F(Endpoints, OnlyNodesRefreshTokenKeysAndEveryAttemptIsCounted)
{
  EXPECT_EQ(get("/node/jwt_keys/refresh", "POST").status, 401);
  EXPECT_EQ(to_canonical_json(body("/node/jwt_keys/refresh/metrics")), R"({"attempts":1,"failures":1,"successes":0})");
}

TEST_F(Endpoints, AnswersThatTheCallerDoesNotTakeAreNotMade)
{
  Request request;
  request.method = "GET";
  request.path = "/node/version";
  request.headers = {{"accept", "text/html"}};
  sessions.push_back(node.session());
  EXPECT_EQ(node.send(*sessions.back(), request)->answer->status, 406);
  request.headers = {{"accept", "nonsense"}};
  EXPECT_EQ(node.send(*sessions.back(), request)->answer->status, 400);
}

TEST_F(Endpoints, TheDescriptionOfGovernanceHasNoDatedVersions)
{
  std::vector<Frontend> frontends(2);
  frontends[0].prefix = "/app";
  frontends[0].open = [] { return true; };
  frontends[1].prefix = "/gov";
  frontends[1].open = [] { return true; };
  node.dispatcher = std::make_unique<Dispatcher>(node.services, std::move(frontends));
  EXPECT_EQ(code_of(get("/gov/api?api-version=2024-07-01")), "UnsupportedApiVersionValue");
  EXPECT_EQ(get("/gov/api").status, 200);
  EXPECT_EQ(get("/app/api?api-version=2024-07-01").status, 200);
}

TEST(IsOpen, IsRememberedForTheStateThatWasLookedAt)
{
  OpenFlag flag;
  const auto with = [](const std::string& status, Seqno seqno)
  {
    kv::State state;
    state.apply(
        {{std::string(tables::service_info), {{std::string(ledger::single_key), "{\"status\":\"" + status + "\"}"}}}},
        {2, seqno});
    return std::make_shared<const kv::State>(state);
  };
  EXPECT_FALSE(flag(with("Opening", 1)));
  EXPECT_TRUE(flag(with("Open", 2)));
  EXPECT_TRUE(flag(with("Open", 2)));
  EXPECT_FALSE(flag(with("Recovering", 3)));
}
}
