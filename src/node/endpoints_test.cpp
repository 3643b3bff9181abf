#include "node/accept.h"
#include "node/json.h"
#include "node/openapi.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
TEST(Accept, TakesJsonAndWildcards)
{
  for (const auto* const header :
       {"application/json", "*/*", "application/*", "text/html, application/json;q=0.5", "text/html,*/*;q=0.1"})
    EXPECT_EQ(accepts_json(header), Acceptance::accepted) << header;
  for (const auto* const header : {"text/html", "text/*", "application/xml, text/plain"})
    EXPECT_EQ(accepts_json(header), Acceptance::refused) << header;
  for (const auto* const header : {"", "json", "application/", "/json", "text/html,,*/*"})
    EXPECT_EQ(accepts_json(header), Acceptance::malformed) << header;
}

TEST(OperationId, IsVerbAndPathInCamelCase)
{
  EXPECT_EQ(operation_id("GET", "/node/commit"), "GetNodeCommit");
  EXPECT_EQ(operation_id("DELETE", "/node/network/nodes/{node_id}"), "DeleteNodeNetworkNodesNodeId");
}

TEST(ApiDescription, LeavesOutHiddenEndpointsAndNamesPathParameters)
{
  Endpoint shown{"GET", "/things/{id}", Mode::read_only, {AuthPolicy::member_cert}, {}, {}, false, {}, {}};
  Endpoint hidden = shown;
  hidden.path = "/secret";
  hidden.hidden = true;
  const auto document = api_description("/app", {"title", "text", "1", {}}, {shown, hidden});
  const auto& paths = document.at("paths").get_object();
  ASSERT_EQ(paths.size(), 1U);
  const auto& operation = paths.at("/app/things/{id}").at("get").get_object();
  EXPECT_EQ(operation.at("operationId"), "GetAppThingsId");
  EXPECT_EQ(operation.at("parameters").at(0).at("name"), "id");
  EXPECT_EQ(operation.at("x-ccf-forwarding").at("$ref"), "#/components/x-ccf-forwarding/sometimes");
  EXPECT_TRUE(operation.at("security").at(0).get_object().contains("member_cert"));
}

TEST(CanonicalJson, OrdersKeysByBytesAtEveryDepth)
{
  const auto value = parse_json(R"({"b":{"z":1,"a":[{"d":1,"c":"é\n"}]},"B":null,"a":true})");
  ASSERT_TRUE(value);
  EXPECT_EQ(to_canonical_json(*value), R"({"B":null,"a":true,"b":{"a":[{"c":"é\n","d":1}],"z":1}})");
}

TEST(ParseJson, RefusesTrailingTextAndDeepNesting)
{
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json(std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_FALSE(parse_json(""));
  EXPECT_TRUE(parse_json(" {} "));
}
}
