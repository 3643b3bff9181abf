#include "base/encoding.h"
#include "ledger/test_service.h"
#include "ledger/test_verify.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
/// A service that was opened, recovered and opened again.
class RecoveredLedger : public testing::Test
{
protected:
  RecoveredLedger()
  {
    service.create();
    service.sign();
    service.open();
    service.write_something();
    service.sign();
    first_cert = service.service_cert;
    first_key = service.service_key;
  }

  VerifyReport check(const std::optional<crypto::Certificate>& given = std::nullopt, bool strict = false) const
  {
    VerifyOptions options;
    options.strict = strict;
    if (given)
      options.service_certificate_pem = given->pem();
    const auto last = service.entries.size();
    return verify({{"ledger_1", service.chunk(1, 5, true)}, {"ledger_6", service.chunk(6, last, false)}}, options);
  }

  TestService service;
  crypto::Certificate first_cert = service.service_cert;
  crypto::KeyPair first_key = service.service_key;
};

TEST_F(RecoveredLedger, TheNewServiceProvesAllOfItAndEndorsesTheOneBefore)
{
  service.recover();
  service.sign();
  service.open();
  service.sign();
  const auto report = check(service.service_cert);
  EXPECT_EQ(errors_of(report), "");
  ASSERT_TRUE(report.verdict);
  EXPECT_EQ(report.verdict->signed_up_to, (TxId{4, 10}));
  ASSERT_EQ(report.verdict->services.size(), 2U);
  EXPECT_EQ(report.verdict->services[0].endorsed_at, (TxId{4, 9}));
  EXPECT_EQ(report.verdict->services[1].from, (TxId{4, 6}));
  EXPECT_EQ(report.verdict->service_status, "Open");
}

TEST_F(RecoveredLedger, ADeclaredPredecessorThatIsNotYetEndorsedIsShownAsSuch)
{
  service.recover();
  service.sign();
  const auto report = check(service.service_cert);
  EXPECT_EQ(errors_of(report), "");
  ASSERT_EQ(report.verdict->services.size(), 2U);
  EXPECT_FALSE(report.verdict->services[0].endorsed_at);
}

TEST_F(RecoveredLedger, AnEndorsementThatNoSignatureCoversIsNotInTheVerdict)
{
  service.recover();
  service.sign();
  service.open();
  const auto report = check(service.service_cert);
  EXPECT_FALSE(report.verdict->services[0].endorsed_at);
  EXPECT_EQ(report.verdict->service_status, "Recovering");
}

TEST_F(RecoveredLedger, TheOldServiceProvesOnlyWhatItSigned)
{
  service.recover();
  service.sign();
  const auto report = check(first_cert);
  EXPECT_TRUE(mentions(report, "4.7: signed by another service"));
  EXPECT_EQ(report.verdict->signed_up_to, (TxId{2, 5}));
}

TEST_F(RecoveredLedger, WithoutACertificateTheVerdictSaysThatNobodyVouches)
{
  service.recover();
  service.sign();
  const auto report = check();
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.verdict->service_was_given);
  EXPECT_EQ(report.verdict->service.der(), service.service_cert.der());
}

TEST_F(RecoveredLedger, AnotherCertificateForTheSameKeyIsTheSameService)
{
  const auto renewed = test_ca(service.service_key, "CN=renewed service");
  const auto report = check(renewed);
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.verdict->service.der(), renewed.der());
  service.service_cert = renewed;
  service.write(service.service_info("Open"));
  service.node_cert = test_issue(service.node_key, "CN=node", service.service_key, renewed);
  service.sign();
  EXPECT_EQ(errors_of(check(first_cert)), "") << "a key, not a certificate, is who the service is";
}

TEST_F(RecoveredLedger, AnOpenServiceDoesNotChangeItsKey)
{
  service.service_cert = TestService().service_cert;
  service.write(service.service_info("Open"));
  EXPECT_TRUE(mentions(check(first_cert), "changes without a recovery"));
}

TEST_F(RecoveredLedger, AServiceThatNamesAnotherPredecessorIsRefused)
{
  const TestService stranger;
  const auto real = service.service_cert;
  service.service_cert = stranger.service_cert;
  service.recover();
  service.sign();
  EXPECT_TRUE(mentions(check(), "names another one as its predecessor"));
}

TEST_F(RecoveredLedger, AServiceThatBeginsAtAnotherRootIsRefused)
{
  auto tree = service.tree;
  tree.append(Digest{1});
  std::swap(service.tree, tree);
  service.recover();
  EXPECT_EQ(service.entries.size(), 6U);
  // The same writes, at the place where they belong.
  kv::WriteSet writes;
  const auto entry = parse_entry(service.entry(6)).value();
  ASSERT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, writes));
  service.entries.pop_back();
  service.tree = std::move(tree);
  service.write(writes);
  service.sign();
  EXPECT_TRUE(mentions(check(), "names another root"));
}

TEST_F(RecoveredLedger, ASuccessorThatSaysNothingOfItsPredecessorIsAnOddity)
{
  service.recover();
  kv::WriteSet writes;
  const auto entry = parse_entry(service.entry(6)).value();
  ASSERT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, writes));
  service.entries.pop_back();
  service.tree.truncate(6);
  writes.erase("public:ccf.gov.service.previous_service_identity");
  service.write(writes);
  service.sign();
  EXPECT_TRUE(check(service.service_cert).ok());
  EXPECT_TRUE(mentions(check(service.service_cert, true), "does not say which one it follows"));
}

TEST_F(RecoveredLedger, AnEndorsementByAnotherKeyIsRefused)
{
  service.recover();
  service.sign();
  service.write(service.service_info("WaitingForRecoveryShares"));
  auto writes = service.service_info("Open");
  writes["public:ccf.internal.previous_service_identity_endorsement"][std::string(single_key)] =
      test_endorsement(first_key, first_key.public_key().der());
  service.write(writes);
  EXPECT_TRUE(mentions(check(), "not by the service"));
}

TEST_F(RecoveredLedger, AnEndorsementOfAnotherKeyIsRefused)
{
  service.recover();
  service.sign();
  service.endorsing_keys.back() = service.node_key.public_key().der();
  service.open();
  EXPECT_TRUE(mentions(check(), "not the one before its own"));
}

TEST_F(RecoveredLedger, AnEndorsementWhoseSignatureIsWrongIsRefused)
{
  auto json = boost::json::parse(test_endorsement(first_key, first_key.public_key().der())).as_object();
  auto message = base::from_base64(std::string(json["endorsement"].as_string())).value();
  message.back() = static_cast<char>(message.back() ^ 1);
  json["endorsement"] = base::to_base64(message);
  service.write(
      {{"public:ccf.internal.previous_service_identity_endorsement",
        {{std::string(single_key), boost::json::serialize(json)}}}});
  EXPECT_TRUE(mentions(check(), "the endorsement of the previous service"));
}

/// Which forms of a signature transaction count: both signatures, the service's alone, and in old ledgers the node's.
class SignatureForms : public testing::Test
{
protected:
  SignatureForms()
  {
    service.create();
    service.write_something();
  }
  VerifyReport check(bool strict = false) const
  {
    VerifyOptions options;
    options.service_certificate_pem = service.service_cert.pem();
    options.strict = strict;
    return verify({{"ledger_1", service.chunk(1, service.entries.size(), false)}}, options);
  }
  kv::WriteSet without(std::string_view table) const
  {
    auto writes = service.signature();
    writes.erase(std::string(table));
    return writes;
  }

  TestService service;
};

TEST_F(SignatureForms, TheServicesAloneIsEnough)
{
  service.write(without(signatures_table));
  const auto report = check(true);
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.signatures, 0U);
  EXPECT_EQ(report.cose_signatures, 1U);
  ASSERT_TRUE(report.verdict);
  EXPECT_TRUE(report.verdict->service_signed_itself);
}

TEST_F(SignatureForms, ANodesAloneIsTheOlderForm)
{
  service.write(without(cose_signatures_table));
  const auto report = check();
  EXPECT_EQ(errors_of(report), "");
  ASSERT_TRUE(report.verdict);
  EXPECT_FALSE(report.verdict->service_signed_itself);
  EXPECT_TRUE(mentions(check(true), "signature as written by an older version"));
}

TEST_F(SignatureForms, ANodesWithoutACertificateCountsIfTheServiceIssuedTheOneInTheTables)
{
  auto writes = without(cose_signatures_table);
  set_in_signature(writes, "cert", std::nullopt);
  service.write(writes);
  EXPECT_EQ(errors_of(check()), "");
}

TEST_F(SignatureForms, ATreeAloneIsNoSignature)
{
  auto writes = without(cose_signatures_table);
  writes.erase(std::string(signatures_table));
  service.write(writes);
  EXPECT_TRUE(mentions(check(), "nothing in it is signed"));
}

TEST_F(SignatureForms, SignaturesByKeysOfOtherKindsAreNotedAndNotTakenForChecked)
{
  auto writes = service.signature();
  const std::string post_quantum("\1\0\0\0\0\0\0\0", 8);
  writes[std::string(cose_signatures_table)][post_quantum] = "\"AAAA\"";
  service.write(writes);
  EXPECT_EQ(errors_of(check()), "");
  EXPECT_TRUE(mentions(check(true), "not checked here"));

  writes = service.signature();
  writes[std::string(cose_signatures_table)]["a key"] = "\"AAAA\"";
  service.write(writes);
  EXPECT_TRUE(mentions(check(), "other keys"));
}

TEST_F(SignatureForms, BothMustBeRightWhereBothAreThere)
{
  const auto before = service;
  auto writes = service.signature();
  writes[std::string(cose_signatures_table)] = TestService().signature()[std::string(cose_signatures_table)];
  service.write(writes);
  EXPECT_TRUE(mentions(check(), "COSE signature")) << errors_of(check());

  service = before;
  writes = service.signature();
  set_in_signature(writes, "sig", base::to_base64(service.node_key.sign_digest(Digest{1})));
  service.write(writes);
  EXPECT_TRUE(mentions(check(), "the node signature does not verify")) << errors_of(check());
}
}
}
