#include "node/trust.h"

#include "consensus/log_record.h"
#include "crypto/certificate.h"
#include "crypto/signing_request.h"
#include "kv/store.h"
#include "ledger/entry.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

constexpr std::int64_t now = 1'800'000'000;
constexpr std::int64_t day = 86'400;

class Trust : public testing::Test
{
protected:
  Trust()
  {
    crypto::CertificateRequest request;
    request.subject = "CN=service";
    request.valid_from = now - day;
    request.validity_days = 1000;
    request.is_ca = true;
    transaction->put(
        tables::service_info, ledger::single_key,
        to_canonical_json(json::object{{"cert", crypto::self_signed(service, request)->pem()}}));
    put(founder, {{"status", "Trusted"}});
  }

  void put(const std::string& id, const json::object& record)
  {
    transaction->put(tables::node_info, id, to_canonical_json(record));
  }
  std::string add(const crypto::KeyPair& pair, const std::string& request, std::string_view status = "Pending")
  {
    const auto id = pair.public_key().id();
    json::object record{
        {"public_key", pair.public_key().pem()},
        {"rpc_interfaces",
         {{"a", {{"published_address", "node1.example.com:80"}}}, {"b", {{"published_address", "[::1]:80"}}}}},
        {"status", status}};
    if (!request.empty())
      record["certificate_signing_request"] = request;
    put(id, record);
    return id;
  }
  std::string status(std::string_view id)
  {
    const auto record = node_record_of(*transaction, id);
    return record ? string_member(*record, "status") : "none";
  }
  crypto::Certificate issued(std::string_view id)
  {
    return crypto::Certificate::from_pem(transaction->get(tables::node_certificates, id).value_or("")).value();
  }
  Certifier certifier()
  {
    return {service, secrets, now};
  }

  kv::Store store;
  std::unique_ptr<kv::WriteTransaction> transaction = store.begin(kv::RunBy::node);
  const crypto::KeyPair service = crypto::KeyPair::generate(crypto::Curve::p384);
  const crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
  const std::string founder = std::string(64, 'f');
};
}

TEST_F(Trust, APendingNodeGetsAllThatATrustedOneHas)
{
  secrets.add(17, ledger::LedgerSecret::generate());
  const auto id = add(key, crypto::make_signing_request(key, "CN=node 1", {"dNSName:node1"}).value());
  EXPECT_EQ(trust_node(*transaction, id, certifier(), {now, 30}), true);
  EXPECT_EQ(status(id), "Trusted");
  EXPECT_EQ(node_record_of(*transaction, id)->at("ledger_secret_seqno"), 17);
  EXPECT_EQ(engine_id_of(*transaction, id), 2U);
  EXPECT_EQ(engine_id_of(*transaction, founder), 1U);
  const auto certificate = issued(id);
  EXPECT_TRUE(certificate.signed_by(service.public_key()));
  EXPECT_EQ(certificate.public_key().id(), id);
  EXPECT_EQ(certificate.subject(), "CN=node 1");
  EXPECT_EQ(certificate.not_before(), now);
  EXPECT_EQ(certificate.not_after(), now + 30 * day - 1);
  EXPECT_FALSE(certificate.is_ca());
}

TEST_F(Trust, WhoMadeNoRequestIsCertifiedForTheirKeyAndAddresses)
{
  const auto id = add(key, "");
  ASSERT_EQ(trust_node(*transaction, id, certifier(), {}), true);
  const auto certificate = issued(id);
  EXPECT_EQ(certificate.public_key().id(), id);
  EXPECT_EQ(certificate.subject(), "CN=CCF Node");
  EXPECT_LE(certificate.not_before(), now);
  EXPECT_EQ(certificate.not_after() - certificate.not_before(), 365 * day - 1) << "as long as the service allows";
}

TEST_F(Trust, ARequestForAnotherKeyIsNotCertified)
{
  const auto other = crypto::KeyPair::generate(crypto::Curve::p256);
  const auto id = add(key, crypto::make_signing_request(other, "CN=node", {}).value());
  const auto trusted = trust_node(*transaction, id, certifier(), {});
  ASSERT_FALSE(trusted);
  EXPECT_EQ(trusted.error().code, ErrorCode::invalid);
  EXPECT_EQ(status(id), "Pending");
  EXPECT_FALSE(engine_id_of(*transaction, id));
}

TEST_F(Trust, OnlyAPendingNodeIsMadeTrusted)
{
  const auto unknown = trust_node(*transaction, "nobody", certifier(), {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_EQ(trust_node(*transaction, founder, certifier(), {}), false);
  const auto id = add(key, "", "Retired");
  EXPECT_EQ(trust_node(*transaction, id, certifier(), {}), false);
  EXPECT_EQ(status(id), "Retired");
  EXPECT_FALSE(engine_id_of(*transaction, id));
}

TEST_F(Trust, NoCertificateIsValidForLongerThanTheServiceAllows)
{
  transaction->put(
      tables::service_config, ledger::single_key,
      to_canonical_json(json::object{{"maximum_node_certificate_validity_days", 10}}));
  const auto id = add(key, "");
  EXPECT_FALSE(trust_node(*transaction, id, certifier(), {now, 11}));
  EXPECT_FALSE(trust_node(*transaction, id, certifier(), {now, 0}));
  EXPECT_FALSE(trust_node(*transaction, id, certifier(), {-1, 1}));
  EXPECT_EQ(trust_node(*transaction, id, certifier(), {now, std::nullopt}), true);
  EXPECT_EQ(issued(id).not_after(), now + 10 * day - 1);
}

TEST_F(Trust, NothingIsCertifiedByAClockBeforeTheService)
{
  const auto id = add(key, "");
  EXPECT_FALSE(trust_node(*transaction, id, {service, secrets, now - 2 * day}, {}));
  EXPECT_EQ(status(id), "Pending");
}

TEST_F(Trust, AnotherKeyThanTheServicesCertifiesNothing)
{
  const auto other = crypto::KeyPair::generate(crypto::Curve::p384);
  const auto id = add(key, "");
  EXPECT_FALSE(trust_node(*transaction, id, {other, secrets, now}, {}));
}

TEST_F(Trust, TakingOutAPendingNodeForgetsIt)
{
  const auto id = add(key, "");
  EXPECT_EQ(retire_node(*transaction, id), true);
  EXPECT_EQ(status(id), "none");
  EXPECT_EQ(retire_node(*transaction, id), false);
}

TEST_F(Trust, TakingOutATrustedNodeRetiresItOnce)
{
  const auto id = add(key, "");
  ASSERT_TRUE(trust_node(*transaction, id, certifier(), {}));
  EXPECT_EQ(retire_node(*transaction, id), true);
  EXPECT_EQ(status(id), "Retired");
  EXPECT_EQ(retire_node(*transaction, id), false);
  EXPECT_EQ(engine_id_of(*transaction, id), 2U);
}

TEST_F(Trust, TheLastTrustedNodeStays)
{
  const auto id = add(key, "");
  auto retired = retire_node(*transaction, founder);
  ASSERT_FALSE(retired) << "one that is pending does not count";
  EXPECT_EQ(retired.error().code, ErrorCode::denied);
  ASSERT_TRUE(trust_node(*transaction, id, certifier(), {}));
  EXPECT_EQ(retire_node(*transaction, founder), true);
  EXPECT_FALSE(retire_node(*transaction, id));
}

TEST_F(Trust, ANodeThatCountsForAMajorityIsNotSaidToTakeNoPart)
{
  kv::State state;
  const auto agree = [&](std::vector<consensus::EngineId> voters)
  {
    consensus::LogRecord record;
    record.index = 1;
    record.configuration.voters = std::move(voters);
    state.apply(
        {{std::string(tables::node_info), {{std::string(founder), R"({"status":"Retired"})"}}},
         {std::string(tables::engine_ids), {{std::string(founder), "1"}, {"another", "2"}}},
         {std::string(consensus::LogRecord::table), {{std::string(ledger::single_key), record.to_json()}}}},
        {2, state.seqno() + 1});
    return kv::SnapshotTransaction(std::make_shared<const kv::State>(state), kv::RunBy::node);
  };
  put(founder, {{"status", "Retired"}});
  auto counts = agree({1, 2});
  EXPECT_FALSE(note_retired_committed(*transaction, counts)) << "the others would wait for it for ever";
  auto out = agree({2});
  consensus::LogRecord coming;
  coming.index = 2;
  coming.configuration.voters = {1, 2};
  transaction->put(consensus::LogRecord::table, ledger::single_key, coming.to_json());
  EXPECT_FALSE(note_retired_committed(*transaction, out)) << "it is about to be given a vote";
  transaction->remove(consensus::LogRecord::table, ledger::single_key);
  EXPECT_TRUE(note_retired_committed(*transaction, out));
}

TEST_F(Trust, ANodeIsForgottenOnlyOnceItIsAgreedThatItTakesNoPart)
{
  kv::State state;
  const auto commit = [&](std::string_view record)
  {
    state.apply(
        {{std::string(tables::node_info), {{std::string(founder), std::string(record)}}}}, {2, state.seqno() + 1});
    return kv::SnapshotTransaction(std::make_shared<const kv::State>(state), kv::RunBy::node);
  };
  auto trusted = commit(R"({"status":"Trusted"})");
  put(founder, {{"status", "Retired"}});
  EXPECT_FALSE(note_retired_committed(*transaction, trusted)) << "that it is retired is not agreed on";
  auto retired = commit(R"({"status":"Retired"})");
  EXPECT_TRUE(note_retired_committed(*transaction, retired));
  EXPECT_FALSE(note_retired_committed(*transaction, retired)) << "once";
  const auto early = delete_node(*transaction, retired, founder);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::denied);
  auto noted = commit(R"({"retired_committed":true,"status":"Retired"})");
  EXPECT_TRUE(delete_node(*transaction, noted, founder));
  EXPECT_EQ(status(founder), "none");
  const auto unknown = delete_node(*transaction, noted, founder);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
}

TEST_F(Trust, ATrustedNodeIsNeverForgotten)
{
  kv::State state;
  state.apply(
      {{std::string(tables::node_info), {{founder, R"({"retired_committed":true,"status":"Trusted"})"}}}}, {2, 1});
  kv::SnapshotTransaction committed(std::make_shared<const kv::State>(state), kv::RunBy::node);
  EXPECT_FALSE(delete_node(*transaction, committed, founder));
}
namespace
{
json::object elsewhere(std::string_view address)
{
  return {{"rpc_interfaces", {{"a", {{"published_address", address}}}}}};
}
}

TEST_F(Trust, ANodeSaysNothingOfItselfButWhereItListens)
{
  const auto id = add(key, "", "Trusted");
  const auto before = std::string(transaction->get(tables::node_info, id).value());
  const auto request = crypto::make_signing_request(key, "CN=node", {"dNSName:new"}).value();
  const auto update = [&](std::string_view changes, std::string_view asks, std::string_view node)
  { return update_node(*transaction, node, Says::addresses, changes, asks, certifier(), {}); };
  const std::vector<std::string> wrong{
      "",
      "[]",
      "{",
      R"({"status":"Retired"})",
      R"({"public_key":"another"})",
      R"({"ledger_secret_seqno":1})",
      R"({"quote_info":{}})",
      R"({"code_digest":"x"})",
      R"({"node_data":{}})",
      R"({"rpc_interfaces":{}})",
      R"({"rpc_interfaces":[]})",
      R"({"rpc_interfaces":{"a":{}}})",
      R"({"rpc_interfaces":{"a":{"published_address":7}}})",
      R"({"rpc_interfaces":{"a":{"published_address":"no port"}}})",
      R"({"node_to_node_interface":{}})",
      R"({"certificate_signing_request":"x"})",
      std::string(10'000, '[')};
  for (const auto& changes : wrong)
  {
    const auto refused = update(changes, request, id);
    ASSERT_FALSE(refused) << changes.substr(0, 80);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid) << changes.substr(0, 80);
  }
  const auto changes = to_canonical_json(elsewhere("new:1"));
  const auto other = crypto::KeyPair::generate(crypto::Curve::p256);
  for (const auto& asks :
       {std::string("no request"), crypto::make_signing_request(other, "CN=node", {"dNSName:new"}).value()})
    EXPECT_FALSE(update(changes, asks, id)) << "a certificate for a key that is not its own";
  EXPECT_EQ(update(changes, request, "nobody").error().code, ErrorCode::not_found);
  EXPECT_EQ(transaction->get(tables::node_info, id), before);
  EXPECT_FALSE(transaction->has(tables::node_certificates, id));
  for (const auto* const status : {"Pending", "Retired"})
  {
    const auto one = add(key, "", status);
    EXPECT_EQ(update(changes, request, one).error().code, ErrorCode::denied) << status;
  }
}

TEST_F(Trust, ANodeThatListensElsewhereIsCertifiedForItAndKeepsAllElse)
{
  secrets.add(17, ledger::LedgerSecret::generate());
  const auto id = add(key, "");
  ASSERT_EQ(trust_node(*transaction, id, certifier(), {}), true);
  secrets.add(40, ledger::LedgerSecret::generate());
  const auto request = crypto::make_signing_request(key, "CN=node", {"dNSName:new"}).value();
  const auto changes = to_canonical_json(elsewhere("new:1"));
  EXPECT_EQ(update_node(*transaction, id, Says::addresses, changes, request, certifier(), {now, 30}), true);
  const auto record = node_record_of(*transaction, id);
  EXPECT_EQ(record->at("rpc_interfaces"), elsewhere("new:1").at("rpc_interfaces"));
  EXPECT_EQ(record->at("ledger_secret_seqno"), 17);
  EXPECT_EQ(string_member(*record, "status"), "Trusted");
  const auto certificate = issued(id);
  EXPECT_TRUE(certificate.signed_by(service.public_key()));
  EXPECT_EQ(certificate.public_key().id(), id);
  EXPECT_EQ(certificate.not_after(), now + 30 * day - 1);
  EXPECT_EQ(update_node(*transaction, id, Says::addresses, changes, request, certifier(), {now, 30}), false)
      << "what is said again changes nothing";
}
}
