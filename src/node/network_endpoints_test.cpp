#include "node/network_endpoints.h"

#include "ledger/entry.h"
#include "node/json.h"
#include "node/node_endpoints.h"
#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;
using consensus::EngineId;
using test::code_of;
using test::FakeNode;
using test::header_of;

/// Node "one" of three, which number 1, 2 and 3 are; "two" leads unless the test says otherwise.
struct NetworkEndpoints : testing::Test
{
  NetworkEndpoints()
  {
    node.services.node_id = "one";
    auto& interface = node.configuration.interfaces.emplace_back();
    interface.listen.name = "main";
    interface.as_configured = {{"bind_address", "127.0.0.1:1"}};
    node.serve({}, node_endpoints(node.services));
    kv::WriteSet writes;
    for (const auto& [id, number] : {std::pair{"one", "1"}, {"two", "2"}, {"three", "3"}})
    {
      writes[std::string(tables::engine_ids)][id] = number;
      writes[std::string(tables::node_info)][id] = record(id, "Trusted");
    }
    apply(writes);
    follow(2);
  }

  static std::string record(const std::string& id, const std::string& status, bool retired_committed = false)
  {
    return R"({"node_to_node_interface":{"published_address":")" + id + R"(.nodes:81"},"retired_committed":)" +
           (retired_committed ? "true" : "false") + R"(,"rpc_interfaces":{"main":{"published_address":")" + id +
           R"(.example:80"}},"status":")" + status + R"("})";
  }
  void apply(const kv::WriteSet& writes)
  {
    kv::State state(*node.store.committed());
    state.apply(writes, {2, state.seqno() + 1});
    node.store.reset(std::make_shared<const kv::State>(state), 2);
  }
  void set(const std::string& id, const std::optional<std::string>& value)
  {
    apply({{std::string(tables::node_info), {{id, value}}}});
  }

  void follow(EngineId leader)
  {
    node.ordering.writes = false;
    node.ordering.agreed = {
        .view = 2,
        .self = 1,
        .leader = leader,
        .primary = false,
        .configuration = {.voters = {1, 2, 3}},
        .progress = {}};
  }
  void lead()
  {
    node.ordering.writes = true;
    node.ordering.agreed = {
        .view = 2,
        .self = 1,
        .leader = 1,
        .primary = true,
        .configuration = {.voters = {1, 2, 3}},
        .progress = {{.id = 2, .matched = 9, .active = true, .seqno = 131}, {.id = 3, .matched = 1, .active = false}}};
  }
  Response get(const std::string& target, const std::string& method = "GET", const crypto::Certificate* who = nullptr)
  {
    Request request;
    request.method = method;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == target.npos ? "" : target.substr(question + 1);
    sessions.push_back(node.session(who));
    const auto exchange = node.send(*sessions.back(), std::move(request));
    node.ordering.settle();
    return exchange->answer.value_or(Response::empty(0));
  }
  json::value body(const std::string& target)
  {
    return json::parse(get(target).body);
  }

  FakeNode node;
  std::vector<std::shared_ptr<http::Session>> sessions;
};
}

TEST_F(NetworkEndpoints, EachNodeSaysWhoLeads)
{
  EXPECT_EQ(body("/node/network/nodes/primary").at("node_id"), "two");
  EXPECT_EQ(body("/node/network/nodes/two").at("primary"), true);
  EXPECT_EQ(body("/node/network/nodes/self").at("node_id"), "one");
  EXPECT_EQ(body("/node/network/nodes/self").at("primary"), false);
  EXPECT_EQ(get("/node/primary").status, 404);
  EXPECT_EQ(get("/node/backup").status, 200);
  const auto head = get("/node/primary", "HEAD");
  EXPECT_EQ(head.status, 308);
  EXPECT_EQ(header_of(head, "location"), "https://two.example:80/node/primary");

  lead();
  EXPECT_EQ(body("/node/network/nodes/primary").at("node_id"), "one");
  EXPECT_EQ(body("/node/network/nodes/self").at("primary"), true);
  EXPECT_EQ(get("/node/primary").status, 200);
  EXPECT_EQ(get("/node/primary", "HEAD").status, 200);
  EXPECT_EQ(get("/node/backup").status, 404);

  follow(0);
  EXPECT_EQ(code_of(get("/node/network/nodes/primary")), "InternalError");
  EXPECT_EQ(get("/node/network/nodes/primary").status, 500);
  EXPECT_EQ(get("/node/primary").status, 404);
  EXPECT_EQ(get("/node/backup").status, 404);
  EXPECT_EQ(get("/node/primary", "HEAD").status, 500);

  follow(9); // of whom the tables do not know yet
  EXPECT_EQ(get("/node/network/nodes/primary").status, 500);
  EXPECT_EQ(get("/node/primary", "HEAD").status, 500);
}

TEST_F(NetworkEndpoints, APrimaryThatLacksTheInterfaceIsNotRedirectedTo)
{
  set("two", R"({"status":"Trusted","rpc_interfaces":{"other":{"published_address":"two.example:80"}}})");
  EXPECT_EQ(get("/node/primary", "HEAD").status, 500);
}

TEST_F(NetworkEndpoints, NetworkNamesThePrimary)
{
  apply({{std::string(tables::service_info), {{std::string(ledger::single_key), R"({"status":"Open"})"}}}});
  EXPECT_EQ(body("/node/network").at("primary_id"), "two");
  lead();
  EXPECT_EQ(body("/node/network").at("primary_id"), "one");
  follow(0);
  EXPECT_TRUE(body("/node/network").at("primary_id").is_null());
}

TEST_F(NetworkEndpoints, ConsensusIsShownFromThisNode)
{
  auto details = body("/node/consensus").at("details");
  EXPECT_EQ(details.at("leadership_state"), "Follower");
  EXPECT_EQ(details.at("primary_id"), "two");
  EXPECT_EQ(details.at("current_view"), 2);
  EXPECT_TRUE(details.at("acks").get_object().empty());
  EXPECT_EQ(
      to_canonical_json(details.at("configs").at(0).at("nodes")),
      R"({"one":{"address":"one.nodes:81"},"three":{"address":"three.nodes:81"},"two":{"address":"two.nodes:81"}})");
  EXPECT_EQ(body("/node/config"), details.at("configs").at(0).at("nodes"));

  lead();
  node.services.last_heard = [](const std::string& id)
  { return id == "two" ? std::optional(std::chrono::milliseconds(42)) : std::nullopt; };
  details = body("/node/consensus").at("details");
  EXPECT_EQ(details.at("leadership_state"), "Leader");
  EXPECT_EQ(details.at("primary_id"), "one");
  EXPECT_EQ(
      to_canonical_json(details.at("acks")),
      R"({"three":{"last_received_ms":null,"seqno":0},"two":{"last_received_ms":42,"seqno":131}})");

  follow(0);
  details = body("/node/consensus").at("details");
  EXPECT_EQ(details.at("leadership_state"), "Candidate");
  EXPECT_TRUE(details.at("primary_id").is_null());
}

TEST_F(NetworkEndpoints, ConfigurationsThatGoOverIntoEachOtherAreBothShown)
{
  node.ordering.agreed.configuration = {.voters = {1, 2}, .learners = {3}, .voters_outgoing = {1, 2, 3}};
  const auto details = body("/node/consensus").at("details");
  ASSERT_EQ(details.at("configs").as_array().size(), 2U);
  EXPECT_EQ(details.at("configs").at(0).at("nodes").get_object().size(), 3U);
  EXPECT_EQ(details.at("configs").at(1).at("nodes").get_object().size(), 2U);
  EXPECT_TRUE(details.at("learners").get_object().contains("three"));
}

TEST_F(NetworkEndpoints, ANodeThatIsAloneAndCannotWriteLeadsNobody)
{
  node.ordering.writes = false;
  node.ordering.agreed = {
      .view = 2, .self = 1, .leader = 1, .primary = false, .configuration = {.voters = {1}}, .progress = {}};
  const auto details = body("/node/consensus").at("details");
  EXPECT_EQ(details.at("leadership_state"), "None");
  EXPECT_TRUE(details.at("primary_id").is_null());
  EXPECT_EQ(get("/node/backup").status, 404);
}

TEST_F(NetworkEndpoints, NodesAreFoundByTheirIdAddressAndStatus)
{
  set("two", record("two", "Retired"));
  const auto count = [&](const std::string& query)
  { return body("/node/network/nodes" + query).at("nodes").as_array().size(); };
  EXPECT_EQ(count(""), 3U);
  EXPECT_EQ(count("?host=one.example&port=80&status=Trusted"), 1U);
  EXPECT_EQ(count("?host=one.example&port=443"), 0U);
  EXPECT_EQ(count("?host=nowhere.example"), 0U);
  EXPECT_EQ(count("?status=Retired"), 1U);
  EXPECT_EQ(get("/node/network/nodes?status=Gone").status, 400);
  EXPECT_EQ(get("/node/network/nodes/unknown").status, 404);
  const auto one = body("/node/network/nodes/one");
  EXPECT_EQ(one.at("status"), "Trusted");
  EXPECT_GT(one.at("last_written").to_number<Seqno>(), 0U);
}

TEST_F(NetworkEndpoints, ANodeWithoutARecordSaysWhatItIsConfiguredToBe)
{
  set("one", std::nullopt);
  const auto self = body("/node/network/nodes/self");
  EXPECT_EQ(self.at("status"), "Pending");
  EXPECT_EQ(self.at("last_written"), 0);
  EXPECT_EQ(self.at("rpc_interfaces").at("main").at("bind_address"), "127.0.0.1:1");
}

TEST_F(NetworkEndpoints, OnlyNodesWhoseRetirementIsAgreedOnAreDeleted)
{
  lead();
  EXPECT_EQ(get("/node/network/nodes/unknown", "DELETE").status, 404);
  EXPECT_EQ(code_of(get("/node/network/nodes/three", "DELETE")), "NodeNotRetiredCommitted");
  set("three", record("three", "Retired"));
  EXPECT_EQ(code_of(get("/node/network/nodes/three", "DELETE")), "NodeNotRetiredCommitted");
  EXPECT_TRUE(body("/node/network/removable_nodes").at("nodes").as_array().empty());
  set("three", record("three", "Retired", true));
  EXPECT_EQ(body("/node/network/removable_nodes").at("nodes").at(0).at("node_id"), "three");
  const auto deleted = get("/node/network/nodes/three", "DELETE");
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.body, "true");
  EXPECT_EQ(get("/node/network/nodes/three").status, 404);
}

TEST_F(NetworkEndpoints, OnlyNodesNoteRetirements)
{
  lead();
  EXPECT_EQ(get("/node/network/nodes/set_retired_committed", "POST").status, 401);
  const auto caller = test::certificate("a node");
  apply(
      {{std::string(tables::node_info),
        {{caller.public_key().id(), record("caller", "Trusted")}, {"three", record("three", "Retired")}}}});
  EXPECT_EQ(get("/node/network/nodes/set_retired_committed", "POST", &caller).status, 204);
  EXPECT_EQ(body("/node/network/removable_nodes").at("nodes").as_array().size(), 1U);
  EXPECT_EQ(get("/node/network/nodes/set_retired_committed", "POST", &caller).status, 204) << "again, with no effect";
}

TEST_F(NetworkEndpoints, AMemberIsRetiredFromWhenItsRecordSaysSo)
{
  set("one", record("one", "Retired"));
  auto details = body("/node/consensus").at("details");
  EXPECT_EQ(details.at("membership_state"), "Retired");
  EXPECT_EQ(details.at("retirement_phase"), "Completed");
  set("one", record("one", "Retired", true));
  EXPECT_EQ(body("/node/consensus").at("details").at("retirement_phase"), "RetiredCommitted");
}

TEST_F(NetworkEndpoints, WhatIsAboutThisNodeIsNeverForwarded)
{
  const auto session = node.session();
  session->forwarded = true; // there is no forwarder: whatever would be forwarded answers 500
  for (const auto* const path :
       {"/state", "/network/nodes/self", "/primary", "/backup", "/config", "/consensus", "/self_signed_certificate",
        "/quotes/self", "/attestations/self", "/version", "/memory", "/service/configuration", "/index/strategies",
        "/ready/app", "/ready/gov", "/snapshot"})
    EXPECT_NE(node.send(*session, "GET", std::string("/node") + path)->answer->status, 500) << path;
  for (const auto* const path :
       {"/network", "/network/nodes", "/network/nodes/one", "/network/nodes/primary", "/network/removable_nodes",
        "/quotes", "/attestations", "/js_metrics", "/jwt_keys/refresh/metrics", "/service/previous_identity", "/commit",
        "/tx", "/receipt", "/api"})
    EXPECT_EQ(node.send(*session, "GET", std::string("/node") + path)->answer->status, 500) << path;
}
}
