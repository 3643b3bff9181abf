#include "http/router.h"

#include <gtest/gtest.h>

namespace concordat::http
{
namespace
{
using Kind = Router::Match::Kind;
using Parameters = std::vector<std::pair<std::string_view, std::string_view>>;

Router example()
{
  Router router;
  router.add("GET", "/commit", 0);
  router.add("POST", "/commit", 1);
  router.add("GET", "/members/{memberId}", 2);
  router.add("POST", "/members/state-digests/{memberId}:update", 3);
  router.add("POST", "/members/state-digests/{memberId}:ack", 4);
  router.add("GET", "/members/self", 5);
  router.add("GET", "/a/{x}/b/{y}", 6);
  return router;
}

TEST(Router, ExactPathIsFoundByMethod)
{
  const auto router = example();
  EXPECT_EQ(router.find("GET", "/commit").index, 0U);
  EXPECT_EQ(router.find("POST", "/commit").index, 1U);
  EXPECT_EQ(router.find("GET", "/commit").kind, Kind::found);
}

TEST(Router, PathsAreComparedLiterally)
{
  const auto router = example();
  for (const auto* path : {"/commit/", "//commit", "/Commit", "/%63ommit", "commit", "", "/"})
    EXPECT_EQ(router.find("GET", path).kind, Kind::unknown_path) << path;
}

TEST(Router, ExactPathBeatsTemplate)
{
  const auto router = example();
  EXPECT_EQ(router.find("GET", "/members/self").index, 5U);
  EXPECT_EQ(router.find("GET", "/members/other").index, 2U);
}

TEST(Router, ExactPathWithoutTheMethodLeavesTheTemplateItsTurn)
{
  auto router = example();
  router.add("DELETE", "/members/{id}", 7);
  EXPECT_EQ(router.find("DELETE", "/members/self").index, 7U);
}

TEST(Router, ParametersAreTheUndecodedText)
{
  const auto router = example();
  const auto match = router.find("GET", "/a/1%2F2/b/c%20d");
  EXPECT_EQ(match.kind, Kind::found);
  EXPECT_EQ(match.parameters, (Parameters{{"x", "1%2F2"}, {"y", "c%20d"}}));
}

TEST(Router, ParameterNeedsACharacterAndSpansNoSlash)
{
  const auto router = example();
  EXPECT_EQ(router.find("GET", "/members/").kind, Kind::unknown_path);
  EXPECT_EQ(router.find("GET", "/members/a/b").kind, Kind::unknown_path);
  EXPECT_EQ(router.find("GET", "/a//b/c").kind, Kind::unknown_path);
}

TEST(Router, ParameterEndsAtTheLiteralThatFollows)
{
  const auto router = example();
  const auto match = router.find("POST", "/members/state-digests/8d3e:ack");
  EXPECT_EQ(match.index, 4U);
  EXPECT_EQ(match.parameters, (Parameters{{"memberId", "8d3e"}}));
  EXPECT_EQ(router.find("POST", "/members/state-digests/8d:3e:ack").kind, Kind::unknown_path);
  EXPECT_EQ(router.find("POST", "/members/state-digests/:ack").kind, Kind::unknown_path);
  EXPECT_EQ(router.find("POST", "/members/state-digests/8d3e:acknowledge").kind, Kind::unknown_path);
}

TEST(Router, OtherVerbListsTheMethodsOfThePath)
{
  auto router = example();
  const auto exact = router.find("PUT", "/commit");
  EXPECT_EQ(exact.kind, Kind::other_verb);
  EXPECT_EQ(exact.methods, (std::vector<std::string_view>{"GET", "POST"}));
  router.add("GET", "/members/{other}", 8);
  router.add("PATCH", "/members/{other}", 9);
  const auto both = router.find("PUT", "/members/x");
  EXPECT_EQ(both.kind, Kind::other_verb);
  EXPECT_EQ(both.methods, (std::vector<std::string_view>{"GET", "PATCH"}));
}

TEST(Router, TwoTemplatesThatMatchAreAmbiguous)
{
  Router router;
  router.add("GET", "/clash/{a}", 0);
  router.add("GET", "/clash/{b}", 1);
  router.add("GET", "/{c}/only", 2);
  EXPECT_EQ(router.find("GET", "/clash/x").kind, Kind::ambiguous);
  EXPECT_EQ(router.find("GET", "/other/only").index, 2U);
  EXPECT_EQ(router.find("POST", "/clash/x").kind, Kind::other_verb);
}

TEST(Router, TemplatesOfOtherMethodsDoNotClash)
{
  Router router;
  router.add("GET", "/x/{a}", 0);
  router.add("POST", "/x/{b}", 1);
  const auto match = router.find("POST", "/x/1");
  EXPECT_EQ(match.kind, Kind::found);
  EXPECT_EQ(match.parameters, (Parameters{{"b", "1"}}));
  EXPECT_TRUE(match.methods.empty());
}

TEST(Router, UnclosedBraceIsText)
{
  Router router;
  router.add("GET", "/{a", 0);
  EXPECT_EQ(router.find("GET", "/{a").kind, Kind::found);
  EXPECT_EQ(router.find("GET", "/x").kind, Kind::unknown_path);
}
}
}
