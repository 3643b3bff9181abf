#include "concordat/http.h"
#include "http/target.h"

#include <gtest/gtest.h>

namespace concordat::http
{
namespace
{
Request with_query(std::string query)
{
  Request request;
  request.query = std::move(query);
  return request;
}

TEST(Message, FirstOfRepeatedHeadersCounts)
{
  const Headers headers{{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(find_header(headers, "a"), "1");
  EXPECT_EQ(find_header(headers, "c"), std::nullopt);
}

TEST(Message, FirstOfRepeatedParametersCounts)
{
  EXPECT_EQ(with_query("a=1&b=2&a=3").parameter("a"), "1");
  EXPECT_EQ(with_query("a=1&b=2&a=3").parameter("b"), "2");
  EXPECT_EQ(with_query("a=1").parameter("A"), std::nullopt);
}

TEST(Message, ParameterWithoutEqualsSignIsEmpty)
{
  EXPECT_EQ(with_query("flag&b=").parameter("flag"), "");
  EXPECT_EQ(with_query("flag&b=").parameter("b"), "");
  EXPECT_EQ(with_query("").parameter(""), std::nullopt);
  EXPECT_EQ(with_query("&&a=1").parameter("a"), "1");
}

TEST(Message, ParameterValueMayHoldEqualsSigns)
{
  EXPECT_EQ(with_query("a=b=c").parameter("a"), "b=c");
}

TEST(Message, ErrorEnvelopeEscapesWhatJsonNeeds)
{
  const auto response = Response::error(404, "ResourceNotFound", "no \"x\\y\"\n\x01\t\x7f end");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(find_header(response.headers, "content-type"), "application/json");
  EXPECT_EQ(
      response.body, R"({"error":{"code":"ResourceNotFound","message":"no \"x\\y\"\n\u0001\t)"
                     "\x7f end\"}}");
}

TEST(Message, ErrorEnvelopeReplacesWhatIsNotUtf8)
{
  const auto message = [](std::string_view text)
  {
    const auto body = Response::error(400, "X", text).body;
    constexpr std::string_view before = R"({"error":{"code":"X","message":")";
    return body.substr(before.size(), body.size() - before.size() - 3);
  };
  EXPECT_EQ(
      message("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"), "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(
      message("a\xff"
              "b"),
      "a\xef\xbf\xbd"
      "b");
  EXPECT_EQ(message("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(message("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(message("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(message("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Message, FactoriesSetContentType)
{
  EXPECT_EQ(find_header(Response::json("{}").headers, "content-type"), "application/json");
  EXPECT_EQ(find_header(Response::text("x", 202).headers, "content-type"), "text/plain");
  EXPECT_EQ(Response::text("x", 202).status, 202);
  EXPECT_EQ(Response::empty().status, 204);
  EXPECT_TRUE(Response::empty().headers.empty());
}

TEST(Target, QueryIsDecodedAsAWhole)
{
  const auto target = split_target("/app/a%2Fb?a=1%202&b=%26+c");
  EXPECT_EQ(target.path, "/app/a%2Fb");
  EXPECT_EQ(target.query, "a=1 2&b=& c");
  EXPECT_EQ(split_target("/tx?transaction_id%3D2.1").query, "transaction_id=2.1");
}

TEST(Target, FragmentEndsTheQueryButNotAPathWithoutOne)
{
  EXPECT_EQ(split_target("/tx?a=1#part").query, "a=1");
  EXPECT_EQ(split_target("/tx?a=1%23part").query, "a=1#part");
  EXPECT_EQ(split_target("/tx#part").path, "/tx#part");
}

TEST(Target, BrokenPercentSignsStay)
{
  EXPECT_EQ(decode_query("%"), "%");
  EXPECT_EQ(decode_query("%4"), "%4");
  EXPECT_EQ(decode_query("%zz%41"), "%zzA");
  EXPECT_EQ(decode_query("%00"), std::string(1, '\0'));
}

TEST(Target, AbsoluteFormLosesItsAuthority)
{
  EXPECT_EQ(split_target("https://host:1/app/commit?a=1").path, "/app/commit");
  EXPECT_EQ(split_target("http://host?a=1").path, "/");
  EXPECT_EQ(split_target("http://host?a=1").query, "a=1");
  EXPECT_EQ(split_target("http://host").path, "/");
}

TEST(Target, SecondQuestionMarkBelongsToTheQuery)
{
  EXPECT_EQ(split_target("/a?b?c").query, "b?c");
}
}
}
