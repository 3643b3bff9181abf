#include "ledger/verifier.h"

#include "base/files.h"
#include "crypto/hash.h"
#include "ledger/chunk_name.h"
#include "ledger/entry.h"
#include "ledger/entry_scanner.h"
#include "ledger/test_files.h"
#include "ledger/test_service.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

namespace concordat::ledger
{
namespace
{
const std::string service_a = CONCORDAT_TEST_DATA "/ledger/service_a";

/// The files of a ledger directory by name.
using Files = std::map<std::string, std::string>;

Files load(const std::string& directory)
{
  base::RealFileSystem disk;
  Files files;
  const auto names = disk.list(directory);
  for (const auto& name : *names)
    files[name] = disk.read(base::join(directory, name)).value();
  return files;
}

VerifyReport verify(
    const Files& files, const VerifyOptions& options = {},
    const std::function<void(const ShownTransaction&)>& on_transaction = {})
{
  MemoryFileSystem memory;
  for (const auto& [name, bytes] : files)
    memory.put("ledger/" + name, bytes);
  return verify_ledger(memory, {"ledger"}, options, on_transaction);
}

std::string errors_of(const VerifyReport& report)
{
  std::string text;
  for (const auto& finding : report.findings)
    if (!finding.is_note)
      text += finding.place + ": " + finding.text + "\n";
  return text;
}

bool mentions(const VerifyReport& report, std::string_view text)
{
  return errors_of(report).find(text) != std::string::npos;
}

TEST(Verifier, AcceptsTheLedgerOfARealService)
{
  const auto report = verify(load(service_a + "/ledger"));
  EXPECT_EQ(errors_of(report), "");
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.findings.empty()) << "old entry types are noted";
  EXPECT_EQ(report.chunks, 8U);
  EXPECT_EQ(report.entries, 74U);
  EXPECT_EQ(report.signatures, 26U);
  EXPECT_EQ(report.cose_signatures, 18U);
  EXPECT_EQ(report.last_signed->seqno, 74U);
  EXPECT_EQ(report.service_status, "Open");
}

TEST(Verifier, StrictnessMakesOldHabitsErrors)
{
  VerifyOptions options;
  options.strict = true;
  const auto report = verify(load(service_a + "/ledger"), options);
  EXPECT_FALSE(report.ok());
  EXPECT_TRUE(mentions(report, "entry type"));
}

TEST(Verifier, CommittedOnlyLeavesTheOpenChunkOut)
{
  VerifyOptions options;
  options.committed_only = true;
  const auto report = verify(load(service_a + "/ledger"), options);
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.entries, 61U);
}

TEST(Verifier, ShowsEveryTransactionInOrder)
{
  std::vector<Seqno> seqnos;
  bool created = false;
  const auto report = verify(
      load(service_a + "/ledger"), {},
      [&](const ShownTransaction& shown)
      {
        seqnos.push_back(shown.txid.seqno);
        for (const auto& table : shown.tables)
          created = created || (shown.txid.seqno == 1 && table.name == "public:ccf.gov.service.info" &&
                                table.writes.size() == 1 && table.writes[0].second);
      });
  EXPECT_TRUE(created);
  ASSERT_EQ(seqnos.size(), 74U);
  for (std::size_t i = 0; i < seqnos.size(); ++i)
    EXPECT_EQ(seqnos[i], i + 1);
}

TEST(Verifier, ComparesTheIdentityWithTheCertificateGiven)
{
  base::RealFileSystem disk;
  const auto files = load(service_a + "/ledger");
  VerifyOptions options;
  options.service_certificate_pem = disk.read(service_a + "/common/service_cert.pem").value();
  EXPECT_EQ(errors_of(verify(files, options)), "");
  options.service_certificate_pem = disk.read(service_a + "/common/member0_cert.pem").value();
  EXPECT_TRUE(mentions(verify(files, options), "not the certificate given"));
  options.service_certificate_pem = "no certificate";
  EXPECT_TRUE(mentions(verify(files, options), "cannot be read"));
}

TEST(Verifier, DetectsRandomFlipsAnywhereBeforeTheLastSignature)
{
  const char* const given = std::getenv("CONCORDAT_TEST_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("CONCORDAT_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);

  const auto original = load(service_a + "/ledger");
  // The bytes of the last signature entry are the subject of the next test.
  Files files = original;
  std::size_t last_entry = 0;
  {
    MemoryFileSystem memory;
    memory.put("f", original.at("ledger_62"));
    EntryScanner scanner(memory.open("f", base::OpenMode::read).value(), 8, original.at("ledger_62").size());
    while (true)
    {
      const auto at = scanner.offset();
      if (!scanner.next().value())
        break;
      last_entry = at;
    }
  }
  std::vector<std::pair<std::string, std::size_t>> places;
  for (const auto& [name, bytes] : original)
    places.emplace_back(name, name == "ledger_62" ? last_entry : bytes.size());
  for (int round = 0; round < 200; ++round)
  {
    auto number = random();
    std::uint64_t total = 0;
    for (const auto& [name, size] : places)
      total += size;
    number %= total;
    std::size_t file = 0;
    while (number >= places[file].second)
      number -= places[file++].second;
    const auto& name = places[file].first;
    const auto bit = static_cast<char>(1 << random() % 8);
    files[name][number] = static_cast<char>(files[name][number] ^ bit);
    EXPECT_FALSE(verify(files).ok()) << name << " offset " << number << " bit " << int{bit};
    files[name] = original.at(name);
  }
}

TEST(Verifier, FilesCutAnywhereAreDetected)
{
  const auto original = load(service_a + "/ledger");
  std::mt19937 random(7);
  for (const auto& [name, bytes] : original)
    for (int round = 0; round < 5; ++round)
    {
      auto files = original;
      const auto size = random() % bytes.size();
      files[name].resize(size);
      const auto report = verify(files);
      // Cut between two entries, an open chunk is one that has not been written further yet.
      EXPECT_TRUE(!report.ok() || (name == "ledger_62" && report.entries < 74)) << name << " cut at " << size;
    }
}

TEST(Verifier, SwappedMissingAndDoubledChunksAreDetected)
{
  const auto original = load(service_a + "/ledger");
  auto files = original;
  std::swap(files["ledger_5-15.committed"], files["ledger_16-26.committed"]);
  EXPECT_FALSE(verify(files).ok());

  files = original;
  files.erase("ledger_27-28.committed");
  EXPECT_TRUE(mentions(verify(files), "does not continue"));

  files = original;
  files.erase("ledger_1-4.committed");
  EXPECT_TRUE(mentions(verify(files), "does not continue"));

  files = original;
  files["ledger_5-14.committed"] = std::exchange(files["ledger_5-15.committed"], {});
  files.erase("ledger_5-15.committed");
  EXPECT_FALSE(verify(files).ok()) << "a name that lies about its last entry";

  files = original;
  files["ledger_30"] = original.at("ledger_62");
  EXPECT_FALSE(verify(files).ok());
}

TEST(Verifier, GarbageFilesAreDetectedAndIgnoredOnesSkipped)
{
  const auto original = load(service_a + "/ledger");
  auto files = original;
  files["ledger_75"] = "garbage";
  EXPECT_FALSE(verify(files).ok());
  files["ledger_75"] = std::string(5000, '\x5a');
  EXPECT_FALSE(verify(files).ok());
  files.erase("ledger_75");
  files["ledger_garbage"] = "";
  EXPECT_TRUE(mentions(verify(files), "not understood"));
  files = original;
  files["ledger_75.ignored"] = "garbage";
  files["ledger_75.recovery"] = "garbage";
  files["README"] = "garbage";
  EXPECT_EQ(errors_of(verify(files)), "");
  VerifyOptions options;
  options.recovery = true;
  EXPECT_FALSE(verify(files, options).ok());
}

TEST(Verifier, AnEmptyDirectoryIsNoVerifiedLedger)
{
  EXPECT_FALSE(verify({}).ok());
  base::RealFileSystem disk;
  EXPECT_FALSE(verify_ledger(disk, {"/does/not/exist"}, {}).ok());
}

TEST(Verifier, AStaleShorterNameDoesNotHideTheCommittedFile)
{
  auto files = load(service_a + "/ledger");
  files["ledger_5"] = files["ledger_5-15.committed"].substr(0, 3000);
  EXPECT_EQ(errors_of(verify(files)), "");
}

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
    kv::WriteSet writes;
    writes["public:ccf.gov.service.info"][std::string(single_key)] =
        boost::json::serialize(boost::json::object{{"cert", service.service_cert.pem()}, {"status", status}});
    service.write(writes);
  }

  TestService service;
};

TEST_F(VerifierOfOwnLedger, AcceptsWhatWeWriteStrictly)
{
  const auto report = after_signing();
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.cose_signatures, 1U);
  EXPECT_EQ(report.last_signed, (TxId{2, 3}));
  EXPECT_EQ(report.service_status, "Opening");
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
    // A signature whose table has lost its name is an ordinary entry after the last signature: see `last_signed`.
    if (report.ok() && report.last_signed)
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
  EXPECT_FALSE(after_signing().ok());
}

TEST_F(VerifierOfOwnLedger, RefusesASignatureWithACertificateOfAnotherService)
{
  const TestService stranger;
  service.node_cert = test_issue(service.node_key, "CN=node", stranger.service_key, stranger.service_cert);
  EXPECT_TRUE(mentions(after_signing(), "not issued by the service"));
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
  EXPECT_TRUE(mentions(after_signing(), "root differs"));
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

TEST_F(VerifierOfOwnLedger, FindingsAreBounded)
{
  for (int i = 0; i < 11000; ++i)
    service.write({{"public:ccf.other", {{"k", "v"}}}});
  const auto report = after_signing();
  EXPECT_FALSE(report.ok());
  EXPECT_LE(report.findings.size(), 10002U);
}

TEST(ChunkName, TakesExactlyTheNamesOfTheSheet)
{
  for (const std::string name :
       {"ledger_1", "ledger_1-10", "ledger_1-10.committed", "ledger_5.recovery", "ledger_5-6.committed.recovery",
        "ledger_7-7.committed"})
  {
    const auto parsed = ChunkName::parse(name);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->to_string(), name);
  }
  for (const std::string name :
       {"", "ledger_", "ledger_0", "ledger_01", "ledger_1-", "ledger_2-1", "ledger_1.committed", "ledger_1-2.committe",
        "ledger_1-2.recovery.committed", "ledger_99999999999999999999", "ledger_9223372036854775808", "ledger_-1",
        "ledger_+1", " ledger_1", "ledger_1 ", "ledger_1-2.committed.ignored", "snapshot_1"})
    EXPECT_FALSE(ChunkName::parse(name)) << name;
}
}
}
