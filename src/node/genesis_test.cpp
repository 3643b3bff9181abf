#include "node/genesis.h"

#include "ledger/entry.h"
#include "ledger/secret_record.h"
#include "node/json.h"
#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

constexpr std::int64_t now = 1'800'000'000;

const Identity& identity()
{
  static const Identity made = Identity::generate(crypto::Curve::p256);
  return made;
}

struct Genesis : testing::Test
{
  Genesis()
  {
    configuration.interfaces.resize(1);
    configuration.interfaces[0].listen.name = "main";
    configuration.interfaces[0].listen.bind_address = "127.0.0.1:0";
    configuration.interfaces[0].as_configured = {{"bind_address", "127.0.0.1:0"}};
    configuration.node_to_node_interface = {{"bind_address", "127.0.0.1:9"}};
  }

  static Founders::Member member(const crypto::Certificate& certificate, RecoveryRole role = RecoveryRole::unset)
  {
    return {certificate, certificate.pem(), "", nullptr, role};
  }
  json::object record() const
  {
    return node_record(configuration, identity(), evidence, founders.node_data, {{"main", "127.0.0.1:4321"}});
  }
  void write(std::uint64_t threshold = 0)
  {
    const auto certificates = make_certificates(configuration, identity(), {}, now);
    write_genesis(
        transaction, founders, identity(), *certificates, record(), evidence, threshold, configuration, {2, 1});
  }
  json::object read(std::string_view table, std::string_view key)
  {
    return read_object(transaction, table, key).value_or(json::object{{"missing", true}});
  }
  MemberConfiguration configured(bool with_key, RecoveryRole role)
  {
    return {"m.pem", with_key ? std::optional<base::Path>("k.pem") : std::nullopt, std::nullopt, role};
  }

  Configuration configuration;
  Founders founders;
  attestation::Evidence evidence;
  kv::WriteTransaction transaction{std::make_shared<const kv::State>(), kv::RunBy::node};
};
}

TEST_F(Genesis, HoldsMembersWithTheirDataKeysAndRoles)
{
  const auto plain = test::certificate("plain");
  const auto owner = test::certificate("owner");
  founders.members.push_back(member(plain));
  founders.members.push_back(member(owner, RecoveryRole::owner));
  founders.members[1].encryption_key_pem = "KEY";
  founders.members[1].data = json::object{{"bank", 1}};
  write();
  EXPECT_EQ(transaction.get(tables::member_certs, plain.id()), plain.pem());
  EXPECT_EQ(json::serialize(read(tables::member_info, plain.id())), R"({"status":"Accepted"})");
  EXPECT_FALSE(transaction.has(tables::member_encryption_keys, plain.id()));
  EXPECT_EQ(
      json::serialize(read(tables::member_info, owner.id())),
      R"({"member_data":{"bank":1},"recovery_role":"Owner","status":"Accepted"})");
  EXPECT_EQ(transaction.get(tables::member_encryption_keys, owner.id()), "KEY");
  EXPECT_EQ(transaction.get(tables::member_acks, owner.id()), R"({"state_digest":""})");
}

TEST_F(Genesis, HoldsUsersWithTheirData)
{
  const auto one = test::certificate("one");
  const auto two = test::certificate("two");
  founders.users.push_back({one, one.pem(), nullptr});
  founders.users.push_back({two, two.pem(), json::object{{"organisation", "m0"}}});
  write();
  EXPECT_EQ(transaction.get(tables::user_certs, one.id()), one.pem());
  EXPECT_FALSE(transaction.has(tables::user_info, one.id()));
  EXPECT_EQ(json::serialize(read(tables::user_info, two.id())), R"({"user_data":{"organisation":"m0"}})");
}

TEST_F(Genesis, HoldsTheServiceThatIsNotOpenYetAndWhatItWasCreatedWith)
{
  founders.service_data = "data";
  founders.constitution = "export function f() {}\n";
  configuration.service_configuration = {{"maximum_node_certificate_validity_days", 9}};
  write(2);
  const auto service = read(tables::service_info, ledger::single_key);
  EXPECT_EQ(service.at("status"), "Opening");
  EXPECT_EQ(service.at("current_service_create_txid"), "2.1");
  EXPECT_EQ(service.at("recovery_count"), 0);
  EXPECT_EQ(service.at("service_data"), "data");
  const auto certificate = crypto::Certificate::from_pem(string_member(service, "cert"));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->public_key().id(), identity().service_key.public_key().id());
  EXPECT_EQ(
      transaction.get(tables::service_config, ledger::single_key),
      R"({"maximum_node_certificate_validity_days":9,"recent_cose_proposals_window_size":100,"recovery_threshold":2})");
  EXPECT_EQ(transaction.get(tables::constitution, ledger::single_key), R"("export function f() {}\n")");

  write_opening(transaction);
  const auto opened = read(tables::service_info, ledger::single_key);
  EXPECT_EQ(opened.at("status"), "Open");
  EXPECT_EQ(opened.at("cert"), service.at("cert"));
}

TEST_F(Genesis, HoldsTheNodeTrustedUnderACertificateOfTheService)
{
  write();
  const auto id = identity().node_id();
  EXPECT_EQ(transaction.get(tables::node_info, id), to_canonical_json(record()));
  const auto shown = record();
  EXPECT_EQ(shown.at("status"), "Trusted");
  EXPECT_EQ(shown.at("rpc_interfaces").at("main").at("published_address"), "127.0.0.1:4321");
  EXPECT_EQ(shown.at("node_to_node_interface").at("published_address"), "127.0.0.1:9");
  EXPECT_EQ(string_member(shown, "public_key"), identity().node_key.public_key().pem());
  const auto endorsed = crypto::Certificate::from_pem(*transaction.get(tables::node_certificates, id));
  const auto service =
      crypto::Certificate::from_pem(string_member(read(tables::service_info, ledger::single_key), "cert"));
  ASSERT_TRUE(endorsed && service);
  EXPECT_TRUE(endorsed->signed_by(*service));
  EXPECT_EQ(transaction.get(tables::virtual_measurements, evidence.claims.measurement), "\"AllowedToJoin\"");
}

TEST_F(Genesis, ThresholdIsWhatIsConfiguredOrAllParticipants)
{
  EXPECT_EQ(initial_recovery_threshold(configuration), 0U) << "nobody can recover, and nobody is asked to";
  configuration.members = {
      configured(true, RecoveryRole::unset), configured(true, RecoveryRole::participant),
      configured(false, RecoveryRole::unset), configured(true, RecoveryRole::owner)};
  EXPECT_EQ(initial_recovery_threshold(configuration), 2U);
  configuration.recovery_threshold = 2;
  EXPECT_EQ(initial_recovery_threshold(configuration), 2U);
  configuration.recovery_threshold = 3;
  EXPECT_FALSE(initial_recovery_threshold(configuration)) << "owners do not count where there are participants";
  configuration.members = {configured(true, RecoveryRole::owner), configured(true, RecoveryRole::owner)};
  EXPECT_FALSE(initial_recovery_threshold(configuration));
  configuration.recovery_threshold = 1;
  EXPECT_EQ(initial_recovery_threshold(configuration), 1U);
  configuration.recovery_threshold.reset();
  EXPECT_EQ(initial_recovery_threshold(configuration), 1U);
  configuration.members.clear();
  configuration.recovery_threshold = 1;
  EXPECT_FALSE(initial_recovery_threshold(configuration));
}

TEST_F(Genesis, OpeningSaysFromWhereTheFirstSecretHoldsUnlessALaterOneIsRecorded)
{
  write();
  write_opening(transaction);
  EXPECT_EQ(string_member(read(tables::service_info, ledger::single_key), "status"), "Open");
  EXPECT_FALSE(string_member(read(tables::service_info, ledger::single_key), "cert").empty()) << "the rest stays";
  EXPECT_EQ(transaction.get(ledger::secret_history_table, ledger::single_key), R"({"next_version":1})");

  ledger::LedgerSecrets secrets(ledger::LedgerSecret::generate());
  secrets.add(3, ledger::LedgerSecret::generate());
  const auto later = ledger::SecretRecord::of_change(secrets, 3, std::nullopt).to_json();
  transaction.put(ledger::secret_history_table, ledger::single_key, later);
  write_opening(transaction);
  EXPECT_EQ(transaction.get(ledger::secret_history_table, ledger::single_key), later);
}

TEST(GovernedAtGenesis, LetsAnApplicationLayDownOnlyItsOwnGovernedMaps)
{
  for (const auto* const map :
       {"public:ccf.gov.reconciliation.data_sets", "public:ccf.gov.x.y", "public:ccf.gov.userss.x"})
    EXPECT_TRUE(check_governed({{map, "k", "v"}})) << map;
  for (const auto* const map :
       {"", "records", "public:records", "ccf.gov.x.y", "public:ccf.gov.", "public:ccf.gov.x", "public:ccf.gov..x",
        "public:ccf.gov.members.certs", "public:ccf.gov.service.info", "public:ccf.gov.constitution.x",
        "public:ccf.gov.jwt.issuers", "public:ccf.internal.x.y", "public:ccf.x.y.z"})
  {
    const auto refused = check_governed({{"public:ccf.gov.own.map", "k", "v"}, {map, "k", "v"}});
    ASSERT_FALSE(refused) << map;
    EXPECT_EQ(refused.error().code, ErrorCode::denied);
  }
}
}
