#include "node/configuration.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <tuple>
#include <utility>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

json::object with(std::string_view section, const json::value& value)
{
  auto root = json::parse(R"({
    "network": {"node_to_node_interface": {"bind_address": "10.0.0.4:8081"},
                "rpc_interfaces": {"main": {"bind_address": "10.0.0.4:8080"}}},
    "command": {"type": "Start", "start": {"members": [{"certificate_file": "m0_cert.pem"}]}}})")
                  .get_object();
  root[section] = value;
  return root;
}

std::string refusal(const json::object& configuration)
{
  const auto parsed = parse_configuration(json::serialize(configuration));
  return parsed ? "accepted" : parsed.error().describe();
}
}

TEST(Configuration, ReadsHowANodeJoins)
{
  auto configuration = with("command", json::parse(R"({"type":"Join","service_certificate_file":"theirs.pem","join":
    {"target_rpc_address":"10.0.0.5:8080","retry_timeout":"250ms","follow_redirect":false,"fetch_recent_snapshot":true,
     "fetch_snapshot_max_attempts":3,"fetch_snapshot_retry_interval":"1s","fetch_snapshot_max_size":"10GB"}})"));
  auto parsed = parse_configuration(json::serialize(configuration));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  ASSERT_TRUE(parsed->join);
  EXPECT_EQ(parsed->join->target_rpc_address, "10.0.0.5:8080");
  EXPECT_EQ(parsed->join->retry_timeout, std::chrono::milliseconds(250));
  EXPECT_FALSE(parsed->join->follow_redirect);
  EXPECT_EQ(parsed->service_certificate_file, "theirs.pem");

  configuration["command"] = json::parse(R"({"type":"Join","join":{"target_rpc_address":"10.0.0.5:8080"}})");
  parsed = parse_configuration(json::serialize(configuration));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  EXPECT_EQ(parsed->join->retry_timeout, std::chrono::seconds(1));
  EXPECT_TRUE(parsed->join->follow_redirect);
  EXPECT_FALSE(parse_configuration(json::serialize(with("node_certificate", json::object{})))->join);
}

TEST(Configuration, WhoJoinsMustSayWhom)
{
  auto configuration = with("node_certificate", json::object{});
  configuration["command"] = {{"type", "Join"}};
  EXPECT_NE(refusal(configuration).find("'command.join.target_rpc_address' is missing"), std::string::npos);
  configuration["command"] = {
      {"type", "Join"}, {"join", {{"target_rpc_address", "10.0.0.5:8080"}, {"retry_timeout", "0s"}}}};
  EXPECT_NE(refusal(configuration).find("'command.join.retry_timeout'"), std::string::npos);
}

TEST(Configuration, ReadsHowLongSilenceIsBorne)
{
  using std::chrono::milliseconds;
  const std::tuple<json::object, milliseconds, milliseconds> cases[] = {
      {{}, milliseconds(50), milliseconds(400)},
      {{{"message_timeout", "100ms"}, {"election_timeout", "5s"}}, milliseconds(100), milliseconds(5000)},
      {{{"message_timeout", "100ms"}}, milliseconds(100), milliseconds(800)},
      {{{"message_timeout", "10ms"}}, milliseconds(10), milliseconds(400)},
      {{{"election_timeout", "5s"}}, milliseconds(50), milliseconds(5000)},
      {{{"election_timeout", "80ms"}}, milliseconds(10), milliseconds(80)}};
  for (const auto& [given, message, election] : cases)
  {
    const auto parsed = parse_configuration(json::serialize(with("consensus", given)));
    ASSERT_TRUE(parsed) << parsed.error().describe();
    EXPECT_EQ(parsed->message_timeout, message) << json::serialize(given);
    EXPECT_EQ(parsed->election_timeout, election) << json::serialize(given);
  }
  const std::pair<json::object, const char*> wrong[] = {
      {{{"message_timeout", "100ms"}, {"election_timeout", "199ms"}}, "consensus.election_timeout"},
      {{{"message_timeout", "0ms"}}, "consensus.message_timeout"},
      {{{"election_timeout", "7ms"}}, "consensus.election_timeout"},
      {{{"election_timeout", "2h"}}, "consensus.election_timeout"},
      {{{"message_timeout", "2000000h"}}, "consensus.election_timeout"}};
  for (const auto& [given, key] : wrong)
  {
    const auto said = refusal(with("consensus", given));
    EXPECT_NE(said.find(key), std::string::npos) << said;
  }
}
}
