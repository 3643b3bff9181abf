#include "cli/failover_client.h"

#include "cli/fake_client.h"

#include <gtest/gtest.h>

#include <map>

namespace concordat::cli
{
namespace
{
using test::FakeClient;

struct FailoverTest : testing::Test
{
  static Response redirection(const std::string& location)
  {
    auto response = Response::empty(307);
    response.headers.emplace_back("location", location);
    return response;
  }
  std::unique_ptr<http::Client> node(const std::string& url)
  {
    const auto self = std::make_shared<FakeClient*>();
    auto made = std::make_unique<FakeClient>(
        [this, url, self](const FakeClient::Sent& request) -> Result<Response>
        {
          asked.push_back(
              url.substr(8) + " " + request.method + " " + request.target.substr(0, request.target.find('?')));
          if (request.target.starts_with("/node/network/nodes"))
            return Response::json(nodes);
          timeouts.push_back((*self)->timeout);
          const auto found = answers.find(url);
          if (found == answers.end())
            return fail(ErrorCode::unavailable, "nobody is there");
          return found->second;
        },
        sent);
    *self = made.get();
    return made;
  }
  FailoverClient client(std::vector<std::string> urls)
  {
    auto first = node(urls.front());
    return FailoverClient(
        std::move(urls), std::move(first),
        [this](const std::string& url) -> Result<std::unique_ptr<http::Client>> { return node(url); });
  }

  std::map<std::string, Response> answers;
  std::string nodes = "{}";
  std::vector<std::string> asked;
  std::vector<std::uint64_t> timeouts;
  std::vector<FakeClient::Sent> sent;
};
}

TEST_F(FailoverTest, ReadsGoOnElsewhere)
{
  answers["https://b:1"] = Response::error(503, "InternalError", "not now");
  answers["https://c:1"] = Response::text("here");
  auto three = client({"https://a:1", "https://b:1", "https://c:1"});
  const auto response = three.send("GET", "/x", {}, "");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "here");
  EXPECT_EQ(asked, (std::vector<std::string>{"a:1 GET /x", "b:1 GET /x", "c:1 GET /x"}));
  EXPECT_EQ(three.url(), "https://c:1");
}

TEST_F(FailoverTest, AWriteWithAnIdGoesOnElsewhere)
{
  answers["https://b:1"] = Response::text("late", 504);
  answers["https://c:1"] = Response::text("written");
  auto three = client({"https://a:1", "https://b:1", "https://c:1"});
  const Headers id{{"x-concordat-request-id", "one"}};
  EXPECT_EQ(three.send("POST", "/x", id, "body")->body, "written");
  EXPECT_EQ(asked, (std::vector<std::string>{"a:1 POST /x", "b:1 POST /x", "c:1 POST /x"}));
  for (const auto& one : sent)
  {
    EXPECT_EQ(one.body, "body");
    EXPECT_EQ(one.headers, id) << "the same, so that the service knows it again";
  }
}

TEST_F(FailoverTest, NobodyIsWaitedForLongWhileThereAreOthers)
{
  constexpr auto shortly = FailoverClient::short_patience;
  constexpr auto patience = FailoverClient::patience;
  auto two = client({"https://a:1", "https://b:1"});
  EXPECT_FALSE(two.send("GET", "/x", {}, ""));
  EXPECT_EQ(timeouts, (std::vector{shortly, shortly, patience, patience})) << "a second time in earnest";
  timeouts.clear();
  EXPECT_FALSE(two.send("POST", "/x", {}, ""));
  EXPECT_EQ(timeouts, std::vector{patience}) << "what must not be done twice";
  timeouts.clear();
  auto one = client({"https://a:1"});
  EXPECT_FALSE(one.send("GET", "/x", {}, ""));
  EXPECT_EQ(timeouts, std::vector{patience});
}

TEST_F(FailoverTest, AWriteWithoutAnAnswerIsNotSentAgain)
{
  answers["https://b:1"] = Response::text("here");
  auto two = client({"https://a:1", "https://b:1"});
  EXPECT_FALSE(two.send("POST", "/x", {}, "body"));
  EXPECT_EQ(asked, (std::vector<std::string>{"a:1 POST /x"}));
  EXPECT_EQ(two.url(), "https://b:1") << "who sends it again reaches another node";
  answers["https://b:1"] = Response::text("late", 504);
  EXPECT_EQ(two.send("POST", "/x", {}, "body")->status, 504);
  EXPECT_EQ(asked.size(), 2U);
}

TEST_F(FailoverTest, AWriteFollowsToTheNodeThatIsNamed)
{
  answers["https://a:1"] = redirection("https://b:1/x?y=z");
  answers["https://b:1"] = Response::text("written");
  auto one = client({"https://a:1"});
  EXPECT_EQ(one.send("POST", "/x", {}, "body")->body, "written");
  EXPECT_EQ(sent.back().body, "body");
  EXPECT_EQ(one.url(), "https://b:1");
}

TEST_F(FailoverTest, NodesThatNameEachOtherAreLeftAtSomeTime)
{
  answers["https://a:1"] = redirection("https://b:1/x");
  answers["https://b:1"] = redirection("https://a:1/x");
  auto one = client({"https://a:1"});
  EXPECT_EQ(one.send("POST", "/x", {}, "")->status, 307);
  EXPECT_EQ(asked.size(), 4U);
  for (const auto* const elsewhere : {"http://c:1/x", "", "/x", "https://a:1/y"})
  {
    answers["https://a:1"] = redirection(elsewhere);
    auto other = client({"https://a:1"});
    EXPECT_EQ(other.send("POST", "/x", {}, "")->status, 307) << elsewhere;
  }
}

TEST_F(FailoverTest, ASessionThatIsLostBeginsAnewForReads)
{
  answers["https://a:1"] = Response::error(500, "SessionConsistencyLost", "another view");
  auto one = client({"https://a:1"});
  EXPECT_EQ(one.send("POST", "/x", {}, "")->status, 500);
  EXPECT_EQ(asked.size(), 1U);
  asked.clear();
  auto other = client({"https://a:1"});
  EXPECT_EQ(other.send("GET", "/x", {}, "")->status, 500);
  EXPECT_EQ(asked.size(), 2U);
}

TEST_F(FailoverTest, OthersAreLearnedOfWithTheSecondRequest)
{
  nodes = R"({"nodes":[
    {"rpc_interfaces":{"main":{"published_address":"a:1"},"other":{"published_address":"a:2"}}},
    {"rpc_interfaces":{"main":{"published_address":"b:1"},"other":{"published_address":"b:2"}}},
    {"rpc_interfaces":3}, 4]})";
  answers["https://a:1"] = Response::text("a");
  answers["https://b:1"] = Response::text("b");
  auto one = client({"https://a:1"});
  EXPECT_EQ(one.send("GET", "/x", {}, "")->body, "a");
  EXPECT_EQ(asked.size(), 1U) << "who asks once needs no others";
  EXPECT_EQ(one.send("GET", "/x", {}, "")->body, "a");
  answers.erase("https://a:1");
  EXPECT_EQ(one.send("GET", "/x", {}, "")->body, "b");
}

TEST_F(FailoverTest, WhatIsNoListOfNodesTeachesNothing)
{
  answers["https://a:1"] = Response::text("a");
  for (const auto* const listed : {"", "[]", "3", R"({"nodes":3})", R"({"nodes":[{"rpc_interfaces":{"main":3}}]})"})
  {
    nodes = listed;
    auto one = client({"https://a:1"});
    (void)one.send("GET", "/x", {}, "");
    EXPECT_EQ(one.send("GET", "/x", {}, "")->body, "a");
  }
}

TEST_F(FailoverTest, WhenNobodyAnswersTheLastOneCounts)
{
  auto two = client({"https://a:1", "https://b:1"});
  EXPECT_FALSE(two.send("GET", "/x", {}, ""));
  EXPECT_EQ(asked.size(), 4U) << "each shortly, then in earnest";
}

TEST_F(FailoverTest, APartOfAnAnswerIsNotFollowedByAnother)
{
  int failures = 0;
  FailoverClient two(
      {"https://a:1", "https://b:1"},
      std::make_unique<FakeClient>(
          [&](const FakeClient::Sent&) -> Result<Response>
          {
            ++failures;
            return Response::text("half", 503);
          },
          sent),
      [this](const std::string& url) -> Result<std::unique_ptr<http::Client>> { return node(url); });
  std::string got;
  const auto response = two.send_streaming(
      "GET", "/x", {}, "",
      [&](std::string_view piece)
      {
        got += piece;
        return true;
      });
  EXPECT_EQ(got, "half");
  EXPECT_EQ(response->status, 503);
  EXPECT_TRUE(asked.empty());
}
}
