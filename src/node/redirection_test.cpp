#include "node/redirection.h"

#include "node/test_support.h"

namespace concordat::node
{
namespace
{
using test::code_of;
using test::endpoint;
using test::FakeNode;
using test::header_of;
using test::writer;

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
    serve({writer(), endpoint("GET", "/read", Mode::read_only, [](Context&) { return Response::text("read"); })});
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
}
