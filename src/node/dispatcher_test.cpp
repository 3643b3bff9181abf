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

Endpoint says(std::string method, std::string path, std::string what)
{
  return endpoint(std::move(method), std::move(path), Mode::command, [what](Context&) { return Response::text(what); });
}
}

TEST(Dispatcher, FindsEndpointsByTheirFrontendAndTheApplicationsWithoutOne)
{
  FakeNode node;
  node.serve({says("GET", "/where", "app"), says("GET", "/node", "bare")}, {says("GET", "/where", "node")});
  EXPECT_EQ(node.send("GET", "/app/where")->answer->body, "app");
  EXPECT_EQ(node.send("GET", "/where")->answer->body, "app");
  EXPECT_EQ(node.send("GET", "/node/where")->answer->body, "node");
  EXPECT_EQ(node.send("GET", "/node")->answer->body, "bare") << "a prefix alone is a path of the application";
  EXPECT_EQ(node.send("GET", "/nodes/where")->answer->status, 404);
}

TEST(Dispatcher, UnknownPathsAndVerbs)
{
  FakeNode node;
  node.serve({says("GET", "/thing/{id}", "got"), says("DELETE", "/thing/{id}", "gone"), says("POST", "/only", "x")});
  const auto unknown = node.send("GET", "/app/nothing");
  EXPECT_EQ(unknown->answer->status, 404);
  EXPECT_EQ(code_of(*unknown->answer), "ResourceNotFound");
  EXPECT_NE(unknown->answer->body.find(" /app/nothing\""), std::string::npos) << "as it was asked for";
  const auto framework = node.send("GET", "/node/nothing");
  EXPECT_NE(framework->answer->body.find(" /nothing\""), std::string::npos) << framework->answer->body;

  const auto verb = node.send("PUT", "/app/thing/1");
  EXPECT_EQ(verb->answer->status, 405);
  EXPECT_EQ(code_of(*verb->answer), "UnsupportedHttpVerb");
  EXPECT_EQ(header_of(*verb->answer, "allow"), "OPTIONS, GET, DELETE");

  const auto options = node.send("OPTIONS", "/app/thing/1");
  EXPECT_EQ(options->answer->status, 204);
  EXPECT_EQ(header_of(*options->answer, "allow"), "OPTIONS, GET, DELETE");
  EXPECT_EQ(node.send("OPTIONS", "/app/nothing")->answer->status, 404);
}

TEST(Dispatcher, HeadIsGetWhereverGetIsUnlessThePathAnswersItInItsOwnWay)
{
  FakeNode node;
  node.serve(
      {says("GET", "/thing/{id}", "the body"), says("POST", "/only", "x"), says("GET", "/own", "get"),
       says("HEAD", "/own", "head")});
  const auto head = node.send("HEAD", "/app/thing/1");
  EXPECT_EQ(head->answer->status, 200);
  EXPECT_EQ(head->answer->body, "the body") << "the connection counts it, and leaves it out";
  EXPECT_EQ(header_of(*head->answer, "content-type"), "text/plain");
  EXPECT_EQ(node.send("HEAD", "/app/own")->answer->body, "head");
  EXPECT_EQ(node.send("HEAD", "/app/only")->answer->status, 405);
  EXPECT_EQ(node.send("HEAD", "/app/nothing")->answer->status, 404);
  EXPECT_EQ(node.send("HEAD", "/app/tx")->answer->status, 400) << "endpoints of the framework too";
}

TEST(Dispatcher, TwoTemplatesThatFitEndTheConnection)
{
  FakeNode node;
  node.serve({says("GET", "/{a}/x", "1"), says("GET", "/y/{b}", "2")});
  const auto answer = node.send("GET", "/app/y/x");
  EXPECT_EQ(answer->answer->status, 500);
  EXPECT_TRUE(answer->closed);
}

TEST(Dispatcher, GivesPathParametersAsTheyWereSent)
{
  FakeNode node;
  node.serve({endpoint(
      "GET", "/thing/{id}", Mode::command,
      [](Context& context)
      {
        return Response::text(std::string(context.path_parameter("id")) + std::string(context.path_parameter("no")));
      })});
  EXPECT_EQ(node.send("GET", "/app/thing/a%2Fb")->answer->body, "a%2Fb");
}

TEST(Dispatcher, AClosedFrontendKnowsNothing)
{
  FakeNode node;
  node.serve({says("GET", "/thing", "x")}, {says("GET", "/thing", "x")});
  node.open = false;
  EXPECT_EQ(code_of(*node.send("GET", "/app/thing")->answer), "FrontendNotOpen");
  EXPECT_EQ(code_of(*node.send("GET", "/app/nothing")->answer), "FrontendNotOpen");
  EXPECT_EQ(node.send("GET", "/node/thing")->answer->status, 200);
}

TEST(Dispatcher, WhenTooManyTransactionsWaitOnlyTheNodeAnswers)
{
  FakeNode node;
  node.configuration.max_uncommitted = 10;
  node.serve({says("GET", "/thing", "x")}, {says("GET", "/thing", "x")});
  node.ordering.waits = 9;
  EXPECT_EQ(node.send("GET", "/app/thing")->answer->status, 200);
  node.ordering.waits = 10;
  const auto full = node.send("GET", "/app/thing");
  EXPECT_EQ(full->answer->status, 503);
  EXPECT_EQ(code_of(*full->answer), "TooManyPendingTransactions");
  EXPECT_EQ(header_of(*full->answer, "retry-after"), "3");
  EXPECT_EQ(node.send("GET", "/node/thing")->answer->status, 200);
  node.configuration.max_uncommitted = 0;
  EXPECT_EQ(node.send("GET", "/app/thing")->answer->status, 200) << "0 means no bound";
}

TEST(Dispatcher, ANarrowedInterfaceAcceptsWholeTemplatesOnly)
{
  FakeNode node;
  node.configuration.interfaces.resize(2);
  node.configuration.interfaces[0].listen.name = "main";
  node.configuration.interfaces[0].accepted_endpoints = {"/app/log", "/app/thing/\\{id\\}", "/node/.*"};
  node.configuration.interfaces[1].listen.name = "wide";
  node.serve(
      {says("GET", "/log", "x"), says("GET", "/logs", "x"), says("GET", "/log/{id}", "x"),
       says("GET", "/thing/{id}", "x")},
      {says("GET", "/state", "x")});
  EXPECT_EQ(node.send("GET", "/app/log")->answer->status, 200);
  EXPECT_EQ(node.send("GET", "/log")->answer->status, 200) << "the same endpoint without its prefix";
  EXPECT_EQ(node.send("GET", "/app/thing/7")->answer->status, 200) << "the template counts, not the path";
  EXPECT_EQ(node.send("GET", "/node/state")->answer->status, 200);
  for (const auto* const path : {"/app/logs", "/app/log/1"})
  {
    const auto refused = node.send("GET", path);
    EXPECT_EQ(refused->answer->status, 503) << path;
    EXPECT_EQ(refused->answer->body, "");
  }
  auto wide = node.session();
  wide->interface = "wide";
  EXPECT_EQ(node.send(*wide, "GET", "/app/logs")->answer->status, 200);
}

TEST(Dispatcher, AnInterfaceThatAcceptsNothingAnswersNothing)
{
  FakeNode node;
  node.configuration.interfaces.resize(1);
  node.configuration.interfaces[0].listen.name = "main";
  node.configuration.interfaces[0].accepted_endpoints.emplace();
  node.serve({says("GET", "/log", "x")});
  EXPECT_EQ(node.send("GET", "/app/log")->answer->status, 503);
}

TEST(Dispatcher, ASessionEndsWithTheViewItBeganIn)
{
  FakeNode node;
  node.serve({says("GET", "/thing", "x")});
  const auto session = node.session();
  EXPECT_EQ(node.send(*session, "GET", "/app/thing")->answer->status, 200);
  EXPECT_EQ(node.send(*session, "GET", "/app/thing")->answer->status, 200);
  node.ordering.in_view = 3;
  const auto lost = node.send(*session, "GET", "/app/thing");
  EXPECT_EQ(lost->answer->status, 500);
  EXPECT_EQ(code_of(*lost->answer), "SessionConsistencyLost");
  EXPECT_TRUE(lost->closed);
  EXPECT_EQ(node.send("GET", "/app/thing")->answer->status, 200) << "a new connection begins in the new view";
}

TEST(Dispatcher, WhomNoPolicyLetsInIsToldWhyForEach)
{
  FakeNode node;
  int called = 0;
  int observed = 0;
  auto guarded = endpoint(
      "GET", "/guarded", Mode::read_only,
      [&](Context&)
      {
        ++called;
        return Response::text("in");
      });
  guarded.policies = {AuthPolicy::member_cert, AuthPolicy::user_cert};
  guarded.observer = [&](const Response& response) { observed = response.status; };
  node.serve({guarded});
  const auto refused = node.send("GET", "/app/guarded");
  EXPECT_EQ(refused->answer->status, 401);
  EXPECT_EQ(observed, 401);
  EXPECT_EQ(called, 0);
  const auto body = boost::json::parse(refused->answer->body);
  EXPECT_EQ(body.at("error").at("code"), "InvalidAuthenticationInfo");
  ASSERT_EQ(body.at("error").at("details").as_array().size(), 2U);
  EXPECT_EQ(body.at("error").at("details").at(0).at("auth_policy"), "member_cert");
  EXPECT_EQ(body.at("error").at("details").at(1).at("auth_policy"), "user_cert");

  const auto member = node.session(&node.member);
  EXPECT_EQ(node.send(*member, "GET", "/app/guarded")->answer->status, 200);
  EXPECT_EQ(observed, 200);
}

TEST(Dispatcher, AnExceptionOfAHandlerIsAnAnswerAndWritesNothing)
{
  FakeNode node;
  int observed = 0;
  for (const auto mode : {Mode::command, Mode::read_only, Mode::read_write})
  {
    auto broken = endpoint(
        "POST", "/broken", mode,
        [mode](Context& context) -> Response
        {
          if (mode == Mode::read_write)
            context.transaction().put("records", "k", "half done");
          throw std::runtime_error("a secret of somebody else");
        });
    broken.observer = [&](const Response& response) { observed = response.status; };
    node.serve({broken});
    const auto answer = node.send("POST", "/app/broken");
    EXPECT_EQ(answer->answer->status, 500);
    EXPECT_EQ(code_of(*answer->answer), "InternalError");
    EXPECT_EQ(answer->answer->body.find("secret"), std::string::npos);
    EXPECT_EQ(std::exchange(observed, 0), 500);
  }
  EXPECT_EQ(node.ordering.submissions, 0);
}

TEST(Dispatcher, AnExceptionOfAnObserverIsAnAnswerToo)
{
  FakeNode node;
  auto watched = says("GET", "/watched", "x");
  int observed = 0;
  watched.observer = [&](const Response&)
  {
    ++observed;
    throw std::runtime_error("no");
  };
  node.serve({watched});
  const auto watched_one = node.send("GET", "/app/watched");
  EXPECT_EQ(watched_one->answer->status, 500);
  EXPECT_EQ(code_of(*watched_one->answer), "InternalError");
  EXPECT_EQ(watched_one->answers, 1);
  EXPECT_EQ(observed, 1);
}
}
