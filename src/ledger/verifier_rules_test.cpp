#include "crypto/hash.h"
#include "ledger/entry.h"
#include "ledger/test_service.h"
#include "ledger/test_verify.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
class VerifierOfOwnLedger : public testing::Test
{
protected:
  VerifierOfOwnLedger()
  {
    service.create();
    service.write_something();
  }

  /// Signs, and verifies everything as one complete, committed chunk.
  VerifyReport after_signing(bool strict = true)
  {
    service.sign(chunk_after);
    const auto last = service.entries.size();
    VerifyOptions options;
    options.strict = strict;
    return verify({{"ledger_1-" + std::to_string(last) + ".committed", service.chunk(1, last, true)}}, options);
  }

  void write_service(const std::string& status)
  {
    service.write(service.service_info(status));
  }

  TestService service;
};

TEST_F(VerifierOfOwnLedger, AcceptsWhatWeWriteStrictly)
{
  const auto report = after_signing();
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.cose_signatures, 1U);
  EXPECT_EQ(report.verdict->signed_up_to, (TxId{2, 3}));
  EXPECT_EQ(report.verdict->service_status, "Opening");
}

TEST_F(VerifierOfOwnLedger, OfTheLastSignatureOnlyTheBytesThatNothingSignsGoUndetected)
{
  service.sign();
  auto files = Files{{"ledger_1", service.chunk(1, 3, false)}};
  auto& bytes = files["ledger_1"];
  const auto begin = bytes.size() - service.entry(3).size();
  // Offsets in the entry of ledger-format.md §8.5: tag; evidence and max conflict version; the signatures table.
  const auto table = service.entry(3).find(signatures_table);
  const auto table_end = service.entry(3).find(tree_table);
  std::size_t undetected = 0;
  for (std::size_t at = 0; at < service.entry(3).size(); ++at)
  {
    bytes[begin + at] = static_cast<char>(bytes[begin + at] ^ 1);
    const auto report = verify(files);
    // A signature whose table has lost its name is an ordinary entry after the last signature: nothing is proven then.
    if (report.ok())
    {
      const bool tag = at >= 8 && at < 24;
      const bool evidence_or_conflict = at >= 44 + 41 && at < 44 + 81;
      const bool flags = at == 1; // the chunk could end here as well as not
      EXPECT_TRUE(flags || tag || evidence_or_conflict || (at > table && at < table_end)) << at;
      ++undetected;
    }
    bytes[begin + at] = static_cast<char>(bytes[begin + at] ^ 1);
  }
  EXPECT_GE(undetected, 16U + 32U) << "nothing covers tag and commit evidence: without the secret they are free";
  EXPECT_LE(undetected, 139U) << "what another checker missed";
}

TEST_F(VerifierOfOwnLedger, AcceptsViewChangesAfterSignatures)
{
  service.sign();
  service.view = 5;
  service.write_something();
  EXPECT_EQ(errors_of(after_signing()), "");
}

TEST_F(VerifierOfOwnLedger, RefusesAViewChangeWithoutASignatureBefore)
{
  service.view = 3;
  service.write_something();
  EXPECT_TRUE(mentions(after_signing(), "not a signature"));
}

TEST_F(VerifierOfOwnLedger, RefusesAViewThatGoesBack)
{
  service.view = 4;
  service.sign();
  service.view = 3;
  service.write_something();
  EXPECT_TRUE(mentions(after_signing(), "goes back"));
}

TEST_F(VerifierOfOwnLedger, RefusesRecoveryInTheNextView)
{
  write_service("Open");
  service.sign();
  service.view += 1;
  write_service("Recovering");
  EXPECT_TRUE(mentions(after_signing(), "recovery in view"));
}

TEST_F(VerifierOfOwnLedger, RefusesStatusesThatMayNotFollow)
{
  write_service("Open");
  write_service("WaitingForRecoveryShares");
  EXPECT_TRUE(mentions(after_signing(), "Open -> WaitingForRecoveryShares"));
}

TEST_F(VerifierOfOwnLedger, RefusesAnUnknownServiceStatus)
{
  write_service("Sleeping");
  EXPECT_TRUE(mentions(after_signing(), "unknown service status"));
}

TEST_F(VerifierOfOwnLedger, RefusesReservedTableNames)
{
  service.write({{"public:ccf.other", {{"k", "v"}}}});
  EXPECT_TRUE(mentions(after_signing(), "reserved"));
}

TEST_F(VerifierOfOwnLedger, RefusesTableNamesThatAreNoText)
{
  for (const std::string name : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    service.write({{"public:" + name, {{"k", "v"}}}});
  const auto report = after_signing();
  EXPECT_EQ(report.findings.size(), 6U) << errors_of(report);
}

TEST_F(VerifierOfOwnLedger, AcceptsTableNamesInAnyScript)
{
  for (const std::string name : {"käse", "日本", "\xf0\x9f\xa6\x80"})
    service.write({{"public:" + name, {{"k", "v"}}}});
  EXPECT_EQ(errors_of(after_signing()), "");
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureByANodeThatIsNotTrusted)
{
  service.write({{"public:ccf.gov.nodes.info", {{service.node_key.public_key().id(), R"({"status":"Pending"})"}}}});
  EXPECT_TRUE(mentions(after_signing(), "'Pending'"));
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureByANodeThatWasRemoved)
{
  service.write({{"public:ccf.gov.nodes.info", {{service.node_key.public_key().id(), std::nullopt}}}});
  EXPECT_TRUE(mentions(after_signing(), "unknown"));
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureByAStrangersKey)
{
  const TestService stranger;
  service.node_key = stranger.node_key;
  service.node_cert = stranger.node_cert;
  EXPECT_TRUE(mentions(after_signing(), "the signing node is unknown"));
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureWithACertificateOfAnotherService)
{
  const TestService stranger;
  service.node_cert = test_issue(service.node_key, "CN=node", stranger.service_key, stranger.service_cert);
  EXPECT_TRUE(mentions(after_signing(), "not one that the service issued"));
}

TEST_F(VerifierOfOwnLedger, RefusesACoseSignatureOfAnotherServiceKey)
{
  service.service_key = crypto::KeyPair::generate(crypto::Curve::p256);
  EXPECT_TRUE(mentions(after_signing(), "COSE"));
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureOverAnotherTree)
{
  auto other = service.tree;
  other.truncate(service.tree.size() - 1);
  other.append(crypto::sha256("another leaf"));
  service.tree = other;
  EXPECT_TRUE(mentions(after_signing(), "tree in the signature differs"));
}

TEST_F(VerifierOfOwnLedger, RefusesFlagsInTheWrongPlace)
{
  service.write({{"public:t", {{"k", "v"}}}}, chunk_before);
  EXPECT_TRUE(mentions(after_signing(), "chunk before"));
}

TEST_F(VerifierOfOwnLedger, RefusesAChunkEndAtAnOrdinaryEntry)
{
  service.write({{"public:t", {{"k", "v"}}}}, chunk_after);
  EXPECT_TRUE(mentions(after_signing(), "chunk after"));
}

TEST_F(VerifierOfOwnLedger, ACompleteChunkMustEndInASignature)
{
  EXPECT_TRUE(mentions(verify({{"ledger_1", service.chunk(1, 2, true)}}), "does not end in a signature"));
}

TEST_F(VerifierOfOwnLedger, APositionsTableThatLiesIsDetected)
{
  service.sign(chunk_after);
  const auto good = service.chunk(1, 3, true);
  for (std::size_t back = 1; back <= 12; ++back)
  {
    auto lying = good;
    lying[lying.size() - back] = static_cast<char>(lying[lying.size() - back] ^ 4);
    EXPECT_TRUE(mentions(verify({{"ledger_1-3.committed", lying}}), "positions table")) << back;
  }
  EXPECT_TRUE(mentions(verify({{"ledger_1-3.committed", good + '\0'}}), "positions table"));
  EXPECT_TRUE(mentions(verify({{"ledger_1-3.committed", good.substr(0, good.size() - 4)}}), "positions table"));
  EXPECT_TRUE(mentions(verify({{"ledger_1-3.committed", good + std::string(4, '\0')}}), "positions table"));
}

TEST_F(VerifierOfOwnLedger, ACommittedFileWithoutATableIsRefused)
{
  service.sign(chunk_after);
  EXPECT_TRUE(mentions(verify({{"ledger_1-3.committed", service.chunk(1, 3, false)}}), "never written"));
}

TEST_F(VerifierOfOwnLedger, AFileBeyond4GiBIsRefusedPolitely)
{
  service.sign();
  auto bytes = service.chunk(1, 3, false);
  MemoryFileSystem memory;
  memory.put("ledger/ledger_1", bytes);
  memory.pretend_size("ledger/ledger_1", (std::uint64_t{1} << 32) + 5);
  EXPECT_TRUE(mentions(verify_ledger(memory, {"ledger"}, {}), "4 GiB"));
}

TEST_F(VerifierOfOwnLedger, AChunkThatIsBeingCompletedIsReadAndNoted)
{
  service.sign(chunk_after);
  const auto complete = service.chunk(1, 3, true);
  const auto open = std::string(8, '\0') + complete.substr(8);
  const auto report = verify({{"ledger_1", open}});
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.signatures, 1U);
  EXPECT_EQ(report.findings.size(), 1U);
  VerifyOptions options;
  options.strict = true;
  EXPECT_FALSE(verify({{"ledger_1", open}}, options).ok());
  for (const auto& torn : {open + "x", open.substr(0, open.size() - 1)})
    EXPECT_EQ(verify({{"ledger_1", torn}}).findings.size(), 1U) << "nothing signed is missing";
}

TEST_F(VerifierOfOwnLedger, NothingFromTheLedgerReachesATerminalAsItIs)
{
  service.write({{"public:ccf.\x1b[31m\n", {{"k", "v"}}}});
  service.write({{"public:ccf.gov.nodes.info", {{"\x1b[2J", "no json"}}}});
  const auto report = after_signing();
  EXPECT_EQ(report.findings.size(), 2U);
  for (const auto& finding : report.findings)
    for (const char c : finding.place + finding.text)
      EXPECT_TRUE(c >= ' ' && c <= '~') << finding.text;
}

TEST_F(VerifierOfOwnLedger, FindingsAreBounded)
{
  for (int i = 0; i < 11000; ++i)
    service.write({{"public:ccf.other", {{"k", "v"}}}});
  const auto report = after_signing();
  EXPECT_FALSE(report.ok());
  EXPECT_GE(report.findings.size(), 10000U);
  EXPECT_LE(report.findings.size(), 10002U);
}
}
}
