#include "node/join_message.h"

#include "node/test_join.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

json::object good_request()
{
  static const auto encryption = crypto::generate_rsa().public_pem;
  JoinRequest request;
  request.node_to_node_interface = {{"bind_address", "10.0.0.2:8081"}};
  request.rpc_interfaces = {{"main", {{"bind_address", "10.0.0.2:8080"}}}};
  request.format = "Insecure_Virtual";
  request.quote = std::string("\0quote", 6);
  request.endorsements = "endorsements";
  request.public_encryption_key = encryption;
  request.startup_seqno = 7;
  request.certificate_signing_request = "PEM";
  request.node_data = {{"name", "one"}};
  return json::parse(write_join_request(request)).get_object();
}

/// "accepted", or what is wrong.
std::string refusal(const json::object& request)
{
  const auto read = read_join_request(json::serialize(request));
  return read ? "accepted" : read.error().describe();
}
}

TEST(JoinRequest, SaysWhatWasWritten)
{
  const auto read = read_join_request(json::serialize(good_request()));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->node_to_node_interface.at("bind_address"), "10.0.0.2:8081");
  EXPECT_EQ(read->rpc_interfaces.size(), 1U);
  EXPECT_EQ(read->quote, std::string("\0quote", 6));
  EXPECT_EQ(read->endorsements, "endorsements");
  EXPECT_EQ(read->startup_seqno, 7U);
  EXPECT_EQ(read->certificate_signing_request, "PEM");
  EXPECT_EQ(read->node_data.at("name"), "one");
}

TEST(JoinRequest, WhatIsOptionalMayBeAbsentOrNull)
{
  for (const auto* const name : {"startup_seqno", "certificate_signing_request", "node_data"})
  {
    auto request = good_request();
    request[name] = nullptr;
    EXPECT_EQ(refusal(request), "accepted") << name;
    request.erase(name);
    EXPECT_EQ(refusal(request), "accepted") << name;
  }
}

TEST(JoinRequest, CopiesOfAddressesForOlderReadersAreLeftAside)
{
  auto request = good_request();
  request["node_info_network"].get_object()["rpchost"] = "10.0.0.2";
  EXPECT_EQ(refusal(request), "accepted");
}

TEST(JoinRequest, WhatIsMissingIsNamed)
{
  for (const auto* const name : {"node_info_network", "quote_info", "public_encryption_key"})
  {
    auto request = good_request();
    request.erase(name);
    EXPECT_NE(refusal(request).find(name), std::string::npos) << refusal(request);
  }
}

TEST(JoinRequest, WhatIsWrongIsNamed)
{
  const auto ec_key = crypto::KeyPair::generate(crypto::Curve::p256).public_key().pem();
  json::object many;
  for (int i = 0; i < 33; ++i)
    many["i" + std::to_string(i)] = {{"bind_address", "10.0.0.2:8080"}};
  const json::object node_to_node{{"bind_address", "10.0.0.2:1"}};
  const std::pair<const char*, json::value> wrong[] = {
      {"node_info_network", json::object{}},
      {"node_info_network", 7},
      {"node_info_network", {{"node_to_node_interface", node_to_node}, {"rpc_interfaces", json::object{}}}},
      {"node_info_network", {{"node_to_node_interface", {{"bind_address", "x"}}}, {"rpc_interfaces", many}}},
      {"node_info_network", {{"node_to_node_interface", node_to_node}, {"rpc_interfaces", many}}},
      {"node_info_network",
       {{"node_to_node_interface", node_to_node},
        {"rpc_interfaces", {{"main", {{"bind_address", "10.0.0.2:2"}, {"published_address", "x"}}}}}}},
      {"node_info_network",
       {{"node_to_node_interface", node_to_node},
        {"rpc_interfaces", {{std::string(40'000, 'x'), {{"bind_address", "10.0.0.2:2"}}}}}}},
      {"quote", {{"format", "Insecure_Virtual"}, {"quote", "!"}}},
      {"quote", {{"format", "Insecure_Virtual"}, {"quote", json::value(std::string(200'000, 'A'))}}},
      {"endorsements", {{"format", "Insecure_Virtual"}, {"endorsements", 7}}},
      {"public_encryption_key", json::value(ec_key)},
      {"public_encryption_key", json::value(std::string(20'000, 'A'))},
      {"certificate_signing_request", 7},
      {"certificate_signing_request", json::value(std::string(70'000, 'A'))},
      {"startup_seqno", -1},
      {"startup_seqno", "0"},
      {"node_data", json::value(std::string(100'000, 'x'))}};
  for (const auto& [name, value] : wrong)
  {
    auto request = good_request();
    const std::string_view field = name;
    request[field == "quote" || field == "endorsements" ? "quote_info" : field] = value;
    EXPECT_NE(refusal(request).find(name), std::string::npos) << refusal(request);
  }
}

namespace
{
class JoinAnswerTest : public testing::Test
{
protected:
  json::object good() const
  {
    return json::parse(service.let_in(node.public_key()).body).get_object();
  }
  Result<JoinAnswer> read(const json::object& answer) const
  {
    return read_join_answer(json::serialize(answer), service.certificate, node.public_key());
  }

  test::ServiceToJoin service;
  const crypto::KeyPair node = crypto::KeyPair::generate(crypto::Curve::p256);
};
}

TEST_F(JoinAnswerTest, AllSecretsComeOver)
{
  service.secrets.add(17, ledger::LedgerSecret::generate());
  const auto answer = read(good());
  ASSERT_TRUE(answer) << answer.error().describe();
  ASSERT_TRUE(answer->network);
  for (const Seqno seqno : {1, 16, 17, 1000})
    EXPECT_EQ(answer->network->ledger_secrets->at(seqno).raw(), service.secrets.at(seqno).raw());
  EXPECT_EQ(answer->network->service_key.private_pem(), service.key.private_pem());
}

TEST_F(JoinAnswerTest, ARenewedCertificateOfTheServiceIsTaken)
{
  const auto before = crypto::self_signed(service.key, {"CN=service", {}, 1'600'000'000, 10, true}).value();
  EXPECT_TRUE(read_join_answer(json::serialize(good()), before, node.public_key()));
}

TEST_F(JoinAnswerTest, NothingThatDoesNotBelongTogetherIsTaken)
{
  const test::ServiceToJoin other;
  const auto others = json::parse(other.let_in(node.public_key()).body).at("network_info");
  const auto refused = [&](std::string_view name, const json::value& value)
  {
    auto answer = good();
    answer["network_info"].get_object()[name] = value;
    const auto taken = read(answer);
    EXPECT_FALSE(taken) << name << " " << value;
    if (!taken)
    {
      EXPECT_EQ(taken.error().describe().find("PRIVATE"), std::string::npos);
    }
  };
  auto mixed = good().at("network_info").at("identity").get_object();
  mixed["priv_key"] = others.at("identity").at("priv_key");
  refused("identity", mixed);
  mixed = good().at("network_info").at("identity").get_object();
  mixed["cert"] = others.at("identity").at("cert");
  refused("identity", mixed);
  refused("identity", others.at("identity"));
  refused("identity", nullptr);
  refused("endorsed_certificate", others.at("endorsed_certificate"));
  refused("endorsed_certificate", json::value(service.certificate.pem()));
  refused("endorsed_certificate", "");
  refused("ledger_secrets", json::array{});
  refused("ledger_secrets", nullptr);
  const auto secret = [](json::value first, std::string raw)
  { return json::array{std::move(first), json::object{{"raw_key", std::move(raw)}}}; };
  const auto raw = base::to_base64(std::string(32, 's'));
  refused("ledger_secrets", json::array{secret(2, raw)});
  refused("ledger_secrets", json::array{secret(0, raw)});
  refused("ledger_secrets", json::array{secret(-1, raw)});
  refused("ledger_secrets", json::array{secret("1", raw)});
  refused("ledger_secrets", json::array{secret(1, raw), secret(1, raw)});
  refused("ledger_secrets", json::array{secret(1, raw), secret(5, raw), secret(4, raw)});
  refused("ledger_secrets", json::array{secret(1, base::to_base64(std::string(31, 's')))});
  refused("ledger_secrets", json::array{secret(1, "!")});
  refused("ledger_secrets", json::array{json::array{1}});
  refused("public_only", true);
  refused("cose_signatures_config", json::object{{"issuer", std::string(1'000'000, 'x')}});
}

TEST_F(JoinAnswerTest, WhatIsNoAnswerIsRefused)
{
  for (const auto* const text :
       {"", "{", "[]", "{}", R"({"node_status":"Retired"})", R"({"node_status":7})", R"({"node_status":"Trusted"})",
        R"({"node_status":"Trusted","network_info":7})", R"({"node_status":"Trusted","network_info":{}})"})
    EXPECT_FALSE(read_join_answer(text, service.certificate, node.public_key())) << text;
  const auto pending =
      read_join_answer(R"({"node_status":"Pending","node_id":"aa"})", service.certificate, node.public_key());
  ASSERT_TRUE(pending);
  EXPECT_FALSE(pending->network);
  EXPECT_EQ(pending->node_id, "aa");
}
}
