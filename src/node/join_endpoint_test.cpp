#include "node/join_endpoint.h"

#include "attestation/virtual_platform.h"
#include "base/encoding.h"
#include "base/simulated_files.h"
#include "crypto/hash.h"
#include "crypto/signing_request.h"
#include "ledger/entry.h"
#include "node/engine_ids.h"
#include "node/join_message.h"
#include "node/json.h"
#include "node/test_support.h"
#include "node/trust.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;
using test::code_of;

/// Somebody who asks to be let in, as the real ones do unless a test changes it.
struct Stranger
{
  explicit Stranger(const Digest& executable = {1})
  {
    base::SimulatedFileSystem files{1};
    const auto platform = attestation::VirtualPlatform::open(files, "key", executable).value();
    const auto evidence = platform->evidence(crypto::sha256(key.public_key().der())).value();
    static const auto encryption = crypto::generate_rsa().public_pem;
    request.node_to_node_interface = {{"bind_address", "10.0.0.2:8081"}};
    request.rpc_interfaces = {{"main", {{"bind_address", "10.0.0.2:8080"}}}};
    request.format = evidence.format;
    request.quote = evidence.quote;
    request.public_encryption_key = encryption;
    request.certificate_signing_request = crypto::make_signing_request(key, "CN=node 1", {"dNSName:node1"}).value();
    request.node_data = json::object{{"name", "one"}};
  }
  std::string id() const
  {
    return key.public_key().id();
  }
  crypto::Certificate certificate() const
  {
    crypto::CertificateRequest said;
    said.subject = "CN=whoever";
    said.valid_from = test::noon - 10 * test::day; // expired: nobody vouches for these dates
    return crypto::self_signed(key, said).value();
  }

  crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  JoinRequest request;
};

class JoinEndpoint : public testing::Test
{
protected:
  JoinEndpoint()
  {
    identity.service_created = true;
    crypto::CertificateRequest said;
    said.subject = "CN=service";
    said.valid_from = test::noon - test::day;
    said.validity_days = 1000;
    said.is_ca = true;
    service = crypto::self_signed(identity.service_key, said).value();
    set_service("Open");
    set_node(founder, {{"status", "Trusted"}, {"node_to_node_interface", {{"bind_address", "10.0.0.1:8081"}}}});
    put(tables::virtual_measurements, attestation::virtual_measurement, "\"AllowedToJoin\"");
    put(tables::virtual_host_data, base::to_hex(base::as_view(Digest{1})), ledger::single_key);
    node.configuration.cose_issuer = "issuer";
    node.configuration.cose_subject = "subject";
    node.serve({}, {join_endpoint(node.services, identity)});
  }

  void put(std::string_view table, std::string_view key, std::string_view value)
  {
    const auto transaction = node.store.begin_fresh(kv::RunBy::node);
    transaction->put(table, key, value);
    ASSERT_TRUE(node.ordering.submit(*transaction, {}, {}));
    node.ordering.settle();
  }
  void set_service(std::string_view status)
  {
    put(tables::service_info, ledger::single_key,
        to_canonical_json(json::object{{"cert", service.pem()}, {"status", status}}));
  }
  void set_node(std::string_view id, const json::object& record)
  {
    put(tables::node_info, id, to_canonical_json(record));
  }
  std::shared_ptr<test::FakeExchange> ask(const Stranger& who, const std::string& body)
  {
    const auto certificate = who.certificate();
    sessions.push_back(node.session(&certificate));
    const auto sent = node.send(*sessions.back(), "POST", "/node/join", body);
    while (!node.pool.jobs.empty())
      node.pool.take().run();
    return sent;
  }
  std::shared_ptr<test::FakeExchange> ask(const Stranger& who)
  {
    return ask(who, write_join_request(who.request));
  }
  /// The answer once everything is agreed on.
  Response answer(const Stranger& who)
  {
    const auto sent = ask(who);
    node.ordering.settle();
    return sent->answer.value();
  }
  std::optional<json::object> record(const Stranger& who)
  {
    return node_record_of(*node.store.begin_fresh(kv::RunBy::node), who.id());
  }
  Result<JoinAnswer> read(const Stranger& who, const Response& response)
  {
    return read_join_answer(response.body, service, who.key.public_key());
  }
  bool holds_secrets(const Response& response)
  {
    return response.body.find("network_info") != std::string::npos ||
           response.body.find("PRIVATE KEY") != std::string::npos ||
           response.body.find(base::to_base64(node.secrets.at(1).raw())) != std::string::npos;
  }

  test::FakeNode node;
  Identity identity = Identity::generate(crypto::Curve::p384);
  crypto::Certificate service = test::certificate("placeholder");
  const std::string founder = std::string(64, 'f');
  std::vector<std::shared_ptr<http::Session>> sessions;
};
}

TEST_F(JoinEndpoint, AStrangerOfAnOpenServiceIsPendingAndToldNothing)
{
  const Stranger who;
  for (int times = 0; times < 2; ++times)
  {
    const auto response = answer(who);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_FALSE(holds_secrets(response));
    const auto read_answer = read(who, response);
    ASSERT_TRUE(read_answer) << read_answer.error().describe();
    EXPECT_EQ(read_answer->node_status, "Pending");
    EXPECT_EQ(read_answer->node_id, who.id());
  }
  const auto written = record(who);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->at("status"), "Pending");
  EXPECT_EQ(string_member(*written, "public_key"), who.key.public_key().pem());
  EXPECT_EQ(written->at("node_data").at("name"), "one");
  EXPECT_EQ(written->at("node_to_node_interface").at("published_address"), "10.0.0.2:8081");
  EXPECT_EQ(written->at("rpc_interfaces").at("main").at("published_address"), "10.0.0.2:8080");
  EXPECT_EQ(string_member(*written, "code_digest"), base::to_hex(attestation::virtual_measurement));
  kv::SnapshotTransaction state(node.store.committed(), kv::RunBy::node);
  EXPECT_FALSE(engine_id_of(state, who.id()));
  EXPECT_FALSE(state.has(tables::node_certificates, who.id()));
}

TEST_F(JoinEndpoint, BeforeTheServiceOpensAStrangerIsTrustedAtOnce)
{
  set_service("Opening");
  const Stranger who;
  const auto response = answer(who);
  ASSERT_EQ(response.status, 200) << response.body;
  const auto let_in = read(who, response);
  ASSERT_TRUE(let_in) << let_in.error().describe();
  ASSERT_TRUE(let_in->network);
  EXPECT_EQ(let_in->network->service_key.public_key().id(), identity.service_key.public_key().id());
  EXPECT_EQ(let_in->network->cose_issuer, "issuer");
  EXPECT_EQ(let_in->network->cose_subject, "subject");
  EXPECT_EQ(record(who)->at("status"), "Trusted");
  kv::SnapshotTransaction state(node.store.committed(), kv::RunBy::node);
  EXPECT_EQ(engine_id_of(state, who.id()), 2U);
}

TEST_F(JoinEndpoint, ACertificateIsValidForNoLongerThanTheServiceAllows)
{
  set_service("Opening");
  put(tables::service_config, ledger::single_key, R"({"maximum_node_certificate_validity_days":5})");
  node.configuration.node_validity_days = 30;
  const Stranger who;
  ASSERT_EQ(answer(who).status, 200);
  kv::SnapshotTransaction state(node.store.committed(), kv::RunBy::node);
  const auto issued = crypto::Certificate::from_pem(state.get(tables::node_certificates, who.id()).value_or(""));
  ASSERT_TRUE(issued);
  EXPECT_EQ(issued->not_after() - issued->not_before(), 5 * test::day - 1);
}

TEST_F(JoinEndpoint, SecretsAreHandedOutOnlyOnceItIsAgreedThatTheNodeIsTrusted)
{
  set_service("Opening");
  const Stranger who;
  const auto sent = ask(who);
  EXPECT_FALSE(sent->answer);
  node.ordering.settle(fail(ErrorCode::lost, "the view has ended"));
  ASSERT_TRUE(sent->answer);
  EXPECT_FALSE(sent->answer->ok());
  EXPECT_FALSE(holds_secrets(*sent->answer));
}

TEST_F(JoinEndpoint, ANodeThatIsTrustedInAStateThatIsNotAgreedOnWaits)
{
  const Stranger who;
  (void)answer(who);
  const auto transaction = node.store.begin_fresh(kv::RunBy::node);
  ASSERT_TRUE(trust_node(*transaction, who.id(), {identity.service_key, node.secrets, test::noon}, {}));
  ASSERT_TRUE(node.ordering.submit(*transaction, {}, {}));
  const auto sent = ask(who);
  EXPECT_FALSE(sent->answer && holds_secrets(*sent->answer));
  node.ordering.settle();
  ASSERT_TRUE(sent->answer);
  EXPECT_EQ(sent->answer->status, 200);
}

TEST_F(JoinEndpoint, OnlyTheConnectionWithTheNodesKeyIsToldAnything)
{
  set_service("Opening");
  const Stranger who;
  ASSERT_TRUE(holds_secrets(answer(who)));
  set_service("Open");
  Stranger thief;
  thief.request = who.request; // everything that the trusted node has shown, over another connection
  thief.request.node_to_node_interface["bind_address"] = "10.0.0.3:8081";
  const auto response = answer(thief);
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(code_of(response), "InvalidQuote");
  EXPECT_FALSE(holds_secrets(response));
  EXPECT_FALSE(record(thief));

  const auto bare = node.send("POST", "/node/join", write_join_request(who.request));
  while (!node.pool.jobs.empty())
    node.pool.take().run();
  ASSERT_TRUE(bare->answer);
  EXPECT_EQ(bare->answer->status, 401) << "without a certificate";
}

TEST_F(JoinEndpoint, APendingNodeGetsNoSecretsHoweverOftenItAsks)
{
  const Stranger who;
  for (int times = 0; times < 5; ++times)
    EXPECT_FALSE(holds_secrets(answer(who)));
}

TEST_F(JoinEndpoint, ANodeThatWasTakenOutDoesNotComeBack)
{
  const Stranger who;
  for (const auto* const status : {"Open", "Opening"})
  {
    set_service(status);
    set_node(who.id(), {{"status", "Retired"}});
    const auto response = answer(who);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(code_of(response), "InvalidNodeState");
    EXPECT_FALSE(holds_secrets(response));
  }
}

TEST_F(JoinEndpoint, WhatRunsThereMustBeAllowed)
{
  for (const auto* const status : {"Open", "Opening"})
  {
    set_service(status);
    const Stranger other_program(Digest{2});
    EXPECT_EQ(code_of(answer(other_program)), "InvalidQuote");
    EXPECT_FALSE(record(other_program));

    Stranger other_measurement;
    const auto at = other_measurement.request.quote.find(attestation::virtual_measurement);
    other_measurement.request.quote.replace(at, 8, "Certain ");
    EXPECT_EQ(code_of(answer(other_measurement)), "InvalidQuote");
    EXPECT_FALSE(record(other_measurement));

    Stranger other_format;
    other_format.request.format = "AMD_SEV_SNP_v1";
    EXPECT_EQ(code_of(answer(other_format)), "InvalidQuote");

    Stranger no_evidence;
    no_evidence.request.quote.clear();
    EXPECT_EQ(code_of(answer(no_evidence)), "InvalidQuote");
    EXPECT_FALSE(record(no_evidence));
  }
}

TEST_F(JoinEndpoint, AMeasurementThatIsListedOtherwiseIsNotAllowed)
{
  put(tables::virtual_measurements, attestation::virtual_measurement, "\"Refused\"");
  EXPECT_EQ(code_of(answer(Stranger())), "InvalidQuote");
}

TEST_F(JoinEndpoint, ASigningRequestForAnotherKeyIsRefused)
{
  const Stranger other;
  Stranger who;
  who.request.certificate_signing_request = other.request.certificate_signing_request;
  const auto response = answer(who);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(code_of(response), "CSRPublicKeyInvalid");
  who.request.certificate_signing_request = "no request";
  EXPECT_EQ(code_of(answer(who)), "InvalidInput");
  EXPECT_FALSE(record(who));
  who.request.certificate_signing_request.clear();
  EXPECT_EQ(answer(who).status, 200) << "it need not make one";
}

TEST_F(JoinEndpoint, NobodyTakesTheAddressOfAnotherNode)
{
  Stranger who;
  who.request.node_to_node_interface = {{"bind_address", "0.0.0.0:8081"}, {"published_address", "10.0.0.1:8081"}};
  const auto response = answer(who);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(code_of(response), "NodeAlreadyExists");
  set_node(founder, {{"status", "Retired"}, {"node_to_node_interface", {{"bind_address", "10.0.0.1:8081"}}}});
  EXPECT_EQ(answer(who).status, 200) << "of one that is no longer there";
}

TEST_F(JoinEndpoint, AnAddressThatNobodyCanConnectToIsRefused)
{
  for (const auto* const address : {"0.0.0.0:8081", "[::]:8081", "10.0.0.2:0"})
  {
    Stranger who;
    who.request.node_to_node_interface = {{"bind_address", address}};
    EXPECT_EQ(code_of(answer(who)), "InvalidInput") << address;
  }
}

TEST_F(JoinEndpoint, StrangersDoNotFillTheLedger)
{
  for (int i = 0; i < 64; ++i)
    set_node(std::to_string(i), {{"status", "Pending"}});
  const auto response = answer(Stranger());
  EXPECT_EQ(response.status, 500) << "asking again may work";
}

TEST_F(JoinEndpoint, WhatIsNoRequestIsRefused)
{
  const Stranger who;
  for (const auto& body : {std::string(), std::string("{"), std::string("[]"), std::string("{}")})
    EXPECT_EQ(code_of(*ask(who, body)->answer), "InvalidInput") << body;
  EXPECT_FALSE(record(who));
}

TEST_F(JoinEndpoint, ABackupSendsStrangersToThePrimaryAtTheSameInterface)
{
  set_node(
      founder, {{"status", "Trusted"},
                {"rpc_interfaces",
                 {{"main", {{"bind_address", "0.0.0.0:1"}, {"published_address", "node0.example.com:8080"}}},
                  {"other", {{"bind_address", "10.0.0.1:2"}}}}}});
  node.ordering.writes = false;
  node.ordering.agreed.leader = 1;
  const Stranger who;
  const auto response = answer(who);
  EXPECT_EQ(response.status, 308);
  EXPECT_EQ(code_of(response), "NodeCannotHandleRequest");
  EXPECT_EQ(test::header_of(response, "location"), "https://node0.example.com:8080/node/join");
  node.ordering.agreed.leader = 0;
  EXPECT_EQ(answer(who).status, 500) << "there is no primary";
  EXPECT_FALSE(record(who));
}

TEST_F(JoinEndpoint, ABackupKnowsWhomItMayTell)
{
  const Stranger pending;
  (void)answer(pending);
  Stranger trusted;
  trusted.request.node_to_node_interface["bind_address"] = "10.0.0.3:8081";
  set_service("Opening");
  (void)answer(trusted);
  set_service("Open");
  node.ordering.writes = false;
  EXPECT_FALSE(holds_secrets(answer(pending)));
  EXPECT_TRUE(holds_secrets(answer(trusted)));
}

TEST_F(JoinEndpoint, ASigningKeyOfNoKnownCurveIsRefused)
{
  Stranger who;
  const auto garbage = std::make_shared<http::Session>();
  garbage->interface = "main";
  garbage->client_certificate = "no certificate";
  const auto sent = node.send(*garbage, "POST", "/node/join", write_join_request(who.request));
  while (!node.pool.jobs.empty())
    node.pool.take().run();
  EXPECT_EQ(sent->answer.value().status, 401);
}
}
