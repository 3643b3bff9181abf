#include "node/configuration.h"
#include "node/schema.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

json::object smallest()
{
  return json::parse(R"({
    "network": {"node_to_node_interface": {"bind_address": "10.0.0.4:8081"},
                "rpc_interfaces": {"main": {"bind_address": "10.0.0.4:8080"}}},
    "command": {"type": "Start", "start": {"members": [{"certificate_file": "m0_cert.pem",
                "encryption_public_key_file": "m0_enc_pubk.pem"}]}}})")
      .get_object();
}

/// Puts a value at a path such as "network.rpc_interfaces.main.colour", making what is missing on the way.
json::object with(std::string_view path, json::value value)
{
  auto root = smallest();
  auto* at = &root;
  while (true)
  {
    const auto dot = path.find('.');
    const auto name = path.substr(0, dot);
    if (dot == std::string_view::npos)
    {
      (*at)[name] = std::move(value);
      return root;
    }
    auto& below = (*at)[name];
    if (!below.is_object())
      below = json::object{};
    at = &below.get_object();
    path.remove_prefix(dot + 1);
  }
}

std::string refusal(const json::object& configuration)
{
  const auto parsed = parse_configuration(json::serialize(configuration));
  return parsed ? "accepted" : parsed.error().describe();
}
}

TEST(Configuration, FillsInTheDefaults)
{
  const auto parsed = parse_configuration(json::serialize(smallest()));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  ASSERT_EQ(parsed->interfaces.size(), 1U);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.max_body_size, 1U << 20);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.max_open_sessions_soft, 1000U);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.idle_timeout_ms, 60'000U);
  EXPECT_TRUE(parsed->interfaces[0].endorsed_by_service);
  EXPECT_EQ(parsed->chunk_size, 5U << 20);
  EXPECT_EQ(parsed->curve, crypto::Curve::p256);
  EXPECT_EQ(parsed->members.at(0).encryption_public_key_file, "m0_enc_pubk.pem");
  EXPECT_FALSE(parsed->open_service);
}

TEST(Configuration, NamesThePathOfAnUnknownKey)
{
  for (const auto* const path :
       {"colour", "network.rpc_interfaces.main.colour", "command.start.colour", "concordat.colour",
        "network.rpc_interfaces.main.http_configuration.colour"})
  {
    const auto said = refusal(with(path, 1));
    EXPECT_NE(said.find("'" + std::string(path) + "'"), std::string::npos) << said;
    EXPECT_NE(said.find("is not a key"), std::string::npos) << said;
  }
}

TEST(Configuration, NamesThePathOfAWrongValue)
{
  const std::pair<const char*, json::value> wrong[] = {
      {"network.rpc_interfaces.main.bind_address", 8080},
      {"network.rpc_interfaces.main.max_open_sessions_soft", -1},
      {"network.rpc_interfaces.main.max_open_sessions_soft", 1.5},
      {"network.rpc_interfaces.main.max_open_sessions_soft", 4294967296},
      {"network.rpc_interfaces.main.http_configuration.max_body_size", "1 MB"},
      {"network.rpc_interfaces.main.http_configuration.max_body_size", 1000000},
      {"network.rpc_interfaces.main.endorsement.authority", "Nobody"},
      {"network.rpc_interfaces.main.accepted_endpoints", json::array{"("}},
      {"network.rpc_interfaces", json::object{}},
      {"command.type", "Fly"},
      {"command.start.members", json::object{}},
      {"ledger.chunk_size", "0B"},
      {"ledger.chunk_size", "5GB"},
      {"consensus.election_timeout", "5 seconds"},
      {"node_certificate.curve_id", "P-256"},
      {"concordat.open_service", "yes"},
      {"concordat.application", 3},
      {"idle_connection_timeout", 60}};
  for (const auto& [path, value] : wrong)
  {
    const auto said = refusal(with(path, value));
    EXPECT_NE(said.find(path), std::string::npos) << path << ": " << said;
  }
}

TEST(Configuration, NamesAMissingKey)
{
  auto configuration = smallest();
  configuration["network"].get_object()["rpc_interfaces"].get_object()["main"].get_object().erase("bind_address");
  EXPECT_NE(refusal(configuration).find("'network.rpc_interfaces.main.bind_address' is missing"), std::string::npos);
  configuration = smallest();
  configuration.erase("command");
  EXPECT_NE(refusal(configuration).find("'command' is missing"), std::string::npos);
}

TEST(Configuration, NullIdleTimeoutMeansNever)
{
  const auto parsed = parse_configuration(json::serialize(with("idle_connection_timeout", nullptr)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.idle_timeout_ms, 0U);
}

TEST(Configuration, AcceptsAndIgnoresTheEnclaveSectionOfOlderFiles)
{
  EXPECT_EQ(refusal(with("enclave", json::object{{"platform", "SNP"}, {"anything", 1}})), "accepted");
}

TEST(Configuration, SurvivesWhatIsNotJson)
{
  for (const auto* const text : {"", "{", "[]", "null", "3", "\xff\xfe", "{\"network\":{}}x"})
    EXPECT_FALSE(parse_configuration(text)) << text;
  EXPECT_FALSE(parse_configuration(std::string(100'000, '[')));
}

TEST(Size, KnowsItsUnitsAndBounds)
{
  EXPECT_EQ(parse_size("16KB"), 16U << 10);
  EXPECT_EQ(parse_size("1PB"), std::uint64_t{1} << 50);
  EXPECT_EQ(parse_duration("2min"), 120'000'000U);
  for (const auto* const text : {"", "MB", "1", "-1MB", "1mb", "1.5MB", "99999999999PB", "99999999999999999999B"})
    EXPECT_FALSE(parse_size(text)) << text;
}
}
