#include "ledger/verifier.h"

#include "base/encoding.h"
#include "base/files.h"
#include "ledger/entry.h"
#include "ledger/entry_scanner.h"
#include "ledger/test_foreign.h"
#include "ledger/test_verify.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

namespace concordat::ledger
{
namespace
{
class VerifierOfForeignLedger : public ForeignLedger
{
protected:
  Files service_a() const
  {
    return load("service_a/ledger");
  }
  VerifyOptions given(const std::string& certificate, bool strict = false) const
  {
    VerifyOptions options;
    options.service_certificate_pem = content(certificate);
    options.strict = strict;
    return options;
  }
};

TEST_F(VerifierOfForeignLedger, AcceptsTheLedgerOfARealService)
{
  const auto report = verify(service_a());
  EXPECT_EQ(errors_of(report), "");
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.findings.empty()) << "old entry types are noted";
  EXPECT_EQ(report.chunks, 8U);
  EXPECT_EQ(report.entries, 74U);
  EXPECT_EQ(report.signatures, 26U);
  EXPECT_EQ(report.cose_signatures, 18U);
  ASSERT_TRUE(report.verdict);
  EXPECT_EQ(report.verdict->signed_up_to, (TxId{4, 74}));
  EXPECT_EQ(report.verdict->committed_up_to, (TxId{4, 68})) << "what the tree in 4.72 says, which 4.74 signs";
  EXPECT_EQ(report.verdict->service_status, "Open");
  ASSERT_EQ(report.verdict->services.size(), 2U);
  EXPECT_EQ(report.verdict->services[1].from, (TxId{4, 29}));
  EXPECT_FALSE(report.verdict->services[0].endorsed_at) << "an older program recovered it, which endorsed itself";
}

TEST_F(VerifierOfForeignLedger, ItsPublicMapsAreWrittenAgainAsTheyWere)
{
  for (const auto* service : {"service_a", "service_b"})
  {
    std::size_t entries = 0;
    for (const auto& [name, bytes] : load(std::string(service) + "/ledger"))
    {
      MemoryFileSystem memory;
      memory.put("f", bytes);
      const auto table = base::Reader(bytes).le<std::uint64_t>().value();
      EntryScanner scanner(memory.open("f", base::OpenMode::read).value(), 8, table == 0 ? bytes.size() : table);
      while (const auto next = scanner.next().value())
      {
        const auto entry = parse_entry(*next).value();
        kv::WriteSet writes;
        ASSERT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, writes)) << entry.txid.to_string();
        std::string again;
        kv::encode(writes, kv::Domain::public_maps, again);
        ASSERT_EQ(again, entry.public_maps) << entry.txid.to_string();
        ++entries;
      }
    }
    EXPECT_GE(entries, 74U);
  }
}

TEST_F(VerifierOfForeignLedger, StrictnessMakesOldHabitsErrors)
{
  VerifyOptions options;
  options.strict = true;
  const auto report = verify(service_a(), options);
  EXPECT_FALSE(report.ok());
  EXPECT_TRUE(mentions(report, "entry type"));
}

TEST_F(VerifierOfForeignLedger, CommittedOnlyLeavesTheOpenChunkOut)
{
  VerifyOptions options;
  options.committed_only = true;
  const auto report = verify(service_a(), options);
  EXPECT_EQ(errors_of(report), "");
  EXPECT_EQ(report.entries, 61U);
}

TEST_F(VerifierOfForeignLedger, ShowsEveryTransactionInOrder)
{
  std::vector<Seqno> seqnos;
  bool created = false;
  const auto report = verify(
      service_a(), {},
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

TEST_F(VerifierOfForeignLedger, ComparesTheIdentityWithTheCertificateGiven)
{
  const auto files = service_a();
  const auto report = verify(files, given("service_a/common/service_cert.pem"));
  EXPECT_EQ(errors_of(report), "");
  EXPECT_TRUE(report.verdict && report.verdict->service_was_given);
  EXPECT_TRUE(mentions(verify(files, given("service_a/common/member0_cert.pem")), "nothing in it is signed by"));
  VerifyOptions options;
  options.service_certificate_pem = "no certificate";
  EXPECT_TRUE(mentions(verify(files, options), "cannot be read"));
}

TEST_F(VerifierOfForeignLedger, AcceptsStrictlyWhatTheNewestOfItsWritersWrote)
{
  const auto report = verify(load("service_b/ledger"), given("service_b/common/service_cert.pem", true));
  EXPECT_EQ(errors_of(report), "");
  ASSERT_TRUE(report.verdict);
  EXPECT_EQ(report.verdict->signed_up_to, (TxId{2, 128}));
  EXPECT_EQ(report.verdict->committed_up_to, (TxId{2, 92}));
}

TEST_F(VerifierOfForeignLedger, DetectsRandomFlipsAnywhereBeforeTheLastSignature)
{
  const char* const given = std::getenv("CONCORDAT_TEST_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("CONCORDAT_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);

  const auto original = service_a();
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

TEST_F(VerifierOfForeignLedger, FilesCutAnywhereAreDetected)
{
  const auto original = service_a();
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

TEST_F(VerifierOfForeignLedger, SwappedMissingAndDoubledChunksAreDetected)
{
  const auto original = service_a();
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

TEST_F(VerifierOfForeignLedger, GarbageFilesAreDetectedAndIgnoredOnesSkipped)
{
  const auto original = service_a();
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

TEST_F(VerifierOfForeignLedger, AFileThatAKilledNodeHadJustBegunIsNoDamage)
{
  auto files = service_a();
  for (std::size_t size = 0; size < 8; ++size)
  {
    files["ledger_75"] = std::string(size, '\0');
    EXPECT_EQ(errors_of(verify(files)), "") << size;
  }
}

TEST(Verifier, AnEmptyDirectoryIsNoVerifiedLedger)
{
  EXPECT_FALSE(verify({}).ok());
  base::RealFileSystem disk;
  EXPECT_FALSE(verify_ledger(disk, {"/does/not/exist"}, {}).ok());
}

TEST_F(VerifierOfForeignLedger, AStaleShorterNameDoesNotHideTheCommittedFile)
{
  auto files = service_a();
  files["ledger_5"] = files["ledger_5-15.committed"].substr(0, 3000);
  EXPECT_EQ(errors_of(verify(files)), "");
}
}
}
