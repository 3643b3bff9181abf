#include "ledger/receipt.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "ledger/test_foreign.h"
#include "ledger/test_receipt.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

namespace concordat::ledger
{
namespace
{
template <typename T> T must(Result<T> result)
{
  if (!result)
    throw std::runtime_error(result.error().describe());
  return std::move(*result);
}

/// The receipt that stands in a snapshot file of another program.
class ReceiptOfForeignSnapshot : public ForeignLedger
{
protected:
  void SetUp() override
  {
    ForeignLedger::SetUp();
    if (IsSkipped())
      return;
    file = content("service_a/snapshots/snapshot_61_62.committed");
    entry = must(parse_entry(file));
    receipt = file.substr(entry.bytes.size());
    service = must(crypto::Certificate::from_pem(content("service_a/common/service_cert.pem")));
  }

  std::string file;
  Entry entry;
  std::string receipt;
  std::optional<crypto::Certificate> service;
};

TEST_F(ReceiptOfForeignSnapshot, Verifies)
{
  const auto read = Receipt::from_json(receipt);
  ASSERT_TRUE(read) << read.error().describe();
  const auto verified = read->verify(*service);
  EXPECT_TRUE(verified) << verified.error().describe();
  EXPECT_EQ(read->components->claims_digest, entry.write_set_digest());
  EXPECT_EQ(verified, (TxId{4, 62}));
}

TEST_F(ReceiptOfForeignSnapshot, IsWrittenAgainAsItWas)
{
  EXPECT_EQ(Receipt::from_json(receipt)->to_json(), receipt);
}

TEST_F(ReceiptOfForeignSnapshot, IsRefusedWithAnyChange)
{
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < receipt.size(); ++at)
  {
    auto text = receipt;
    text[at] = static_cast<char>(text[at] ^ 1);
    const auto read = Receipt::from_json(text);
    if (read && read->verify(*service))
    {
      ++accepted;
      // What is left are bytes without meaning: what is read from them is what was read before.
      auto back = read->to_json();
      auto original = Receipt::from_json(receipt)->to_json();
      const auto meaning = [](const std::string& json)
      {
        auto object = boost::json::parse(json).as_object();
        object["cert"] = crypto::Certificate::from_pem(std::string(object["cert"].as_string())).value().der();
        return boost::json::serialize(object);
      };
      EXPECT_EQ(meaning(back), meaning(original)) << "byte " << at;
    }
  }
  EXPECT_LE(accepted, 8U) << "such bytes are few";
}

TEST_F(ReceiptOfOwnLedger, EveryTransactionThatTheTreeKeepsHasOneThatVerifies)
{
  const auto first = signature / 2;
  for (auto seqno = first; seqno < signature; ++seqno)
  {
    const auto receipt = make(seqno);
    ASSERT_TRUE(receipt) << receipt.error().describe();
    const auto verified = receipt->verify(service.service_cert);
    ASSERT_TRUE(verified) << verified.error().describe();
    EXPECT_EQ(verified, (TxId{2, seqno}));
    EXPECT_EQ(receipt->components->write_set_digest, crypto::sha256(service.entry(seqno)));
    const auto back = Receipt::from_json(receipt->to_json());
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(back->to_json(), receipt->to_json());
    EXPECT_TRUE(back->verify(service.service_cert));
  }
}

TEST_F(ReceiptOfOwnLedger, ATransactionBeforeTheTreeOfTheSignatureIsRefused)
{
  const auto receipt = make(signature / 2 - 1);
  ASSERT_FALSE(receipt);
  EXPECT_NE(receipt.error().message.find("an earlier signature covers it"), std::string::npos);
}

TEST_F(ReceiptOfOwnLedger, ASignatureTransactionHasTheRootItSignsAsLeaf)
{
  const auto receipt = make(signature);
  ASSERT_TRUE(receipt) << receipt.error().describe();
  EXPECT_TRUE(receipt->proof.empty());
  EXPECT_FALSE(receipt->components);
  EXPECT_EQ(receipt->txid(), std::nullopt);
  auto tree = service.tree;
  tree.truncate(signature);
  EXPECT_EQ(receipt->leaf, tree.root());
  EXPECT_EQ(receipt->verify(service.service_cert), (TxId{2, signature}));
  const auto back = Receipt::from_json(receipt->to_json());
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_EQ(back->verify(service.service_cert), (TxId{2, signature})) << "the transaction is proven, not only a root";
}

TEST_F(ReceiptOfOwnLedger, ASignatureTransactionThatOnlyTheServiceSignedHasNone)
{
  auto writes = service.signature();
  writes.erase(std::string(signatures_table));
  signature = service.next().seqno;
  service.write(writes);
  const auto receipt = make(signature);
  ASSERT_FALSE(receipt);
  EXPECT_NE(receipt.error().message.find("only the service signed it"), std::string::npos);
}

TEST_F(ReceiptOfOwnLedger, ATransactionAfterTheSignatureIsRefused)
{
  const auto before = signature - 6; // the signature of the batch before
  for (const auto seqno : {before + 1, signature})
  {
    const auto receipt = make_receipt(entry(seqno), entry(before), service.secret);
    ASSERT_FALSE(receipt) << seqno;
    EXPECT_NE(receipt.error().message.find("its tree ends before"), std::string::npos) << receipt.error().message;
  }
}

TEST_F(ReceiptOfOwnLedger, AnotherTransactionWithThatSeqnoIsRefused)
{
  const auto other = encode_entry(service.secret, {2, signature - 1}, 0, {}, {}, {});
  const auto receipt = make_receipt(parse_entry(other.bytes).value(), entry(signature), service.secret);
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().code, ErrorCode::corrupt);
}

TEST_F(ReceiptOfOwnLedger, TheWrongSecretIsRefusedInsteadOfDisclosingWrongEvidence)
{
  const auto receipt = make_receipt(entry(signature - 1), entry(signature), LedgerSecret::generate());
  ASSERT_FALSE(receipt);
  EXPECT_NE(receipt.error().message.find("ledger secret"), std::string::npos);
}

TEST_F(ReceiptOfOwnLedger, AnEntryThatIsNoSignatureCannotCoverAnything)
{
  const auto receipt = make_receipt(entry(signature - 2), entry(signature - 1), service.secret);
  ASSERT_FALSE(receipt);
  EXPECT_NE(receipt.error().message.find("without a signature"), std::string::npos) << receipt.error().message;
}

TEST_F(ReceiptOfOwnLedger, ClaimsAreCarriedAndEverySingleFieldIsBound)
{
  const auto claims = crypto::sha256("what the application claims");
  service.write({{"public:app", {{"k", "v"}}}}, 0, claims);
  signature = service.next().seqno;
  service.sign();
  const auto good = make(signature - 1).value();
  EXPECT_EQ(good.components->claims_digest, claims);
  ASSERT_TRUE(good.verify(service.service_cert));

  const auto refused = [&](const std::string& step, const std::function<void(Receipt&)>& change)
  {
    auto receipt = good;
    change(receipt);
    const auto verified = receipt.verify(service.service_cert);
    ASSERT_FALSE(verified) << step;
    EXPECT_EQ(verified.error().code, ErrorCode::corrupt);
    EXPECT_NE(verified.error().message.find("at the " + step), std::string::npos) << verified.error().message;
  };
  refused("signature", [](Receipt& r) { r.components->claims_digest->front() ^= 1; });
  refused("signature", [](Receipt& r) { r.components->claims_digest.reset(); });
  refused("signature", [](Receipt& r) { r.components->write_set_digest.back() ^= 1; });
  refused(
      "signature",
      [](Receipt& r)
      {
        auto& digit = r.components->commit_evidence.back();
        digit = digit == '0' ? '1' : '0';
      });
  refused("signature", [](Receipt& r) { r.proof.front().sibling[5] ^= 1; });
  refused("signature", [](Receipt& r) { r.proof.front().sibling_is_left ^= true; });
  refused("signature", [](Receipt& r) { r.proof.pop_back(); });
  refused("signature", [](Receipt& r) { r.proof.push_back({true, {}}); });
  refused("signature", [](Receipt& r) { r.signature.back() ^= 1; });
  refused("signature", [](Receipt& r) { r.signature.clear(); });
  refused("signature", [](Receipt& r) { r.cert.clear(); });
  refused("signature", [](Receipt& r) { r.cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"; });
  refused("leaf", [](Receipt& r) { r.components->commit_evidence = "ce:2.1:"; });
  refused("leaf", [](Receipt& r) { r.leaf = Digest{}; });
  refused("leaf", [](Receipt& r) { r.components.reset(); });
  refused("node id", [](Receipt& r) { r.node_id.front() = r.node_id.front() == '0' ? '1' : '0'; });

  const TestService stranger;
  refused("signature", [&](Receipt& r) { r.cert = stranger.node_cert.pem(); });
  refused(
      "endorsement", [&](Receipt& r)
      { r.cert = test_issue(service.node_key, "CN=node", stranger.service_key, stranger.service_cert).pem(); });
  EXPECT_FALSE(good.verify(stranger.service_cert));
}

TEST_F(ReceiptOfOwnLedger, AfterARecoveryTheEndorsementsLeadToTheNewService)
{
  const auto new_key = crypto::KeyPair::generate(crypto::Curve::p384);
  const auto new_service = test_ca(new_key, "CN=recovered service");
  auto receipt = make(signature - 1).value();
  const auto expect_refused = [&](const crypto::Certificate& by, const std::string& why)
  {
    const auto verified = receipt.verify(by);
    ASSERT_FALSE(verified) << why;
    EXPECT_NE(verified.error().message.find(why), std::string::npos) << verified.error().message;
  };
  expect_refused(new_service, "does not end at the service certificate given");

  // What a recovered service answers: the old service's key, endorsed by the new one.
  receipt.service_endorsements = {test_issue(service.service_key, "CN=service", new_key, new_service, true).pem()};
  const auto verified = receipt.verify(new_service);
  EXPECT_TRUE(verified) << verified.error().describe();
  const auto back = Receipt::from_json(receipt.to_json());
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_EQ(back->service_endorsements, receipt.service_endorsements);
  EXPECT_TRUE(back->verify(new_service));

  expect_refused(service.service_cert, "does not end at the service certificate given");
  receipt.service_endorsements.push_back(receipt.service_endorsements.front());
  expect_refused(new_service, "endorsement 1 did not issue the certificate before it");
  receipt.service_endorsements = {"nothing"};
  expect_refused(new_service, "endorsement 0 is not a certificate");
}

TEST_F(ReceiptOfOwnLedger, TheV2FormIsRead)
{
  const auto receipt = make(signature - 1).value();
  auto object = boost::json::parse(receipt.to_json()).as_object();
  object["is_signature_transaction"] = false;
  object["service_endorsements"] = boost::json::array();
  const auto read = [](const boost::json::object& o) { return Receipt::from_json(boost::json::serialize(o)); };
  ASSERT_TRUE(read(object)) << read(object).error().describe();
  EXPECT_TRUE(read(object)->verify(service.service_cert));
  object["is_signature_transaction"] = true;
  ASSERT_FALSE(read(object));
  EXPECT_NE(read(object).error().message.find("'is_signature_transaction'"), std::string::npos);
}

TEST_F(ReceiptOfOwnLedger, KeysStandInAlphabeticalOrder)
{
  const auto json = make(signature - 1)->to_json();
  std::size_t last = 0;
  for (const auto* key :
       {"{\"cert\":", "\"leaf_components\":{\"claims_digest\":", "\"commit_evidence\":", "\"write_set_digest\":",
        "\"node_id\":", "\"proof\":[{", "\"signature\":"})
  {
    const auto at = json.find(key);
    ASSERT_NE(at, std::string::npos) << key;
    EXPECT_GE(at, last) << key;
    last = at;
  }
}

TEST_F(ReceiptOfOwnLedger, MalformedTextIsRefusedNamingTheField)
{
  const auto original = boost::json::parse(make(signature - 1)->to_json()).as_object();
  const auto refused = [&](const std::string& naming, const std::function<void(boost::json::object&)>& change)
  {
    auto object = original;
    change(object);
    const auto receipt = Receipt::from_json(boost::json::serialize(object));
    ASSERT_FALSE(receipt) << naming;
    EXPECT_EQ(receipt.error().code, ErrorCode::invalid);
    EXPECT_NE(receipt.error().describe().find(naming), std::string::npos) << receipt.error().describe();
  };
  using Object = boost::json::object;
  for (const auto* field : {"signature", "node_id", "proof", "leaf_components"})
  {
    refused(field, [&](Object& o) { o.erase(field); });
    refused(field, [&](Object& o) { o[field] = 7; });
    refused(field, [&](Object& o) { o[field] = nullptr; });
  }
  for (const auto* field : {"write_set_digest", "commit_evidence"})
    refused(field, [&](Object& o) { o["leaf_components"].as_object().erase(field); });
  refused("claims_digest", [](Object& o) { o["leaf_components"].as_object()["claims_digest"] = "00"; });
  refused("claims_digest", [](Object& o) { o["leaf_components"].as_object()["claims_digest"] = std::string(64, 'A'); });
  refused(
      "commit_evidence",
      [](Object& o) { o["leaf_components"].as_object()["commit_evidence"] = std::string(2000, 'a'); });
  refused("leaf", [](Object& o) { o["leaf"] = std::string(64, '0'); });
  refused("cert", [](Object& o) { o["cert"] = std::string(100000, 'a'); });
  refused("cert", [](Object& o) { o["cert"] = 1; });
  refused("cose_signature", [](Object& o) { o["cose_signature"] = "AAAA"; });
  refused("signature", [](Object& o) { o["signature"] = "no base64!"; });
  refused(
      "proof",
      [](Object& o)
      {
        const auto step = o["proof"].as_array()[0];
        o["proof"].as_array().resize(65, step);
      });
  refused(
      "proof",
      [](Object& o)
      {
        o["proof"].as_array()[0].as_object()["left"] = std::string(64, '0');
        o["proof"].as_array()[0].as_object()["right"] = std::string(64, '0');
      });
  refused("proof", [](Object& o) { o["proof"].as_array()[0] = Object{{"up", std::string(64, '0')}}; });
  refused("proof", [](Object& o) { o["proof"].as_array()[0] = Object{}; });
  refused("proof", [](Object& o) { o["proof"].as_array()[0] = Object{{"left", "0"}}; });
  refused("service_endorsements", [](Object& o) { o["service_endorsements"] = 1; });
  refused("service_endorsements", [](Object& o) { o["service_endorsements"] = boost::json::array{1}; });
  refused(
      "service_endorsements",
      [](Object& o) { o["service_endorsements"].emplace_array().resize(33, boost::json::value("x")); });
  for (const std::string text : {"", "{", "[]", "null", "{}", "\xff", "{\"proof\":[]}"})
    EXPECT_FALSE(Receipt::from_json(text)) << text;
  EXPECT_FALSE(Receipt::from_json(std::string(2 << 20, ' ')));
  EXPECT_FALSE(Receipt::from_json(std::string(100000, '[')));
}
}
}
