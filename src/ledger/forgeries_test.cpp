#include "crypto/cose.h"
#include "crypto/hash.h"
#include "ledger/chunk_format.h"
#include "ledger/test_service.h"
#include "ledger/test_verify.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace concordat::ledger
{
namespace
{
/// What a verifier who was given the true service's certificate must say.
struct Expected
{
  std::string refused_with = {}; ///< part of an error; empty: it is accepted, as far as the verdict goes
  std::string signed_up_to = {}; ///< of the verdict; empty where there must be none, or it does not matter
  std::string committed_up_to = {};
};

/// The true service's ledger is 2.1 to 2.9: signatures at 2.3, 2.6 and 2.9, a committed chunk for each of the first
/// two. Its keys are those of `real`; a forger has its files, and in some rows the key of a node, never the service's.
struct Workshop
{
  Workshop()
  {
    real.create();
    for (int batch = 0; batch < 3; ++batch)
    {
      if (batch > 0)
        real.write_something();
      real.write_something();
      real.tree.flush(3 * static_cast<Seqno>(batch)); // committed are the batches before this one
      real.sign(batch < 2 ? chunk_after : 0);
      if (batch == 0)
        branch = real;
    }
  }
  Files honest() const
  {
    return {
        {"ledger_1-3.committed", real.chunk(1, 3, true)},
        {"ledger_4-6.committed", real.chunk(4, 6, true)},
        {"ledger_7", real.chunk(7, 9, false)}};
  }
  /// The true ledger, with whatever `real` was made to write after it.
  Files with_more() const
  {
    auto files = honest();
    files["ledger_7"] = real.chunk(7, real.entries.size(), false);
    return files;
  }
  /// One open file of a ledger that a forger's own service wrote.
  static Files of(const TestService& service)
  {
    return {{"ledger_1", service.chunk(1, service.entries.size(), false)}};
  }
  /// A forger's own service, with a signed ledger of its own.
  static TestService forger()
  {
    TestService service;
    service.create();
    service.write_something();
    service.sign();
    return service;
  }
  kv::WriteSet naming_the_real_service() const
  {
    return real.service_info("Open");
  }
  /// A signature transaction in the older form: by a node alone.
  static kv::WriteSet without_cose(const TestService& service)
  {
    auto writes = service.signature();
    writes.erase(std::string(cose_signatures_table));
    return writes;
  }

  TestService real;
  TestService branch; ///< the same service with the first three transactions alone
};

struct Row
{
  const char* name;
  std::function<Files(Workshop&)> forge;
  Expected expected;
};

void PrintTo(const Row& row, std::ostream* out)
{
  *out << row.name;
}

const Row rows[] = {
    {"TheTrueLedger", [](Workshop& w) { return w.honest(); }, {"", "2.9", "2.3"}},

    // --- whose ledger it is
    {"AnothersLedgerWithOneUnsignedEntryNamingTheService",
     [](Workshop& w)
     {
       auto forger = Workshop::forger();
       forger.write(w.naming_the_real_service());
       return Workshop::of(forger);
     },
     {"signed by another service"}},
    {"AnothersLedgerThatNamesTheServiceAndIsSignedByANodeWithoutACertificate",
     [](Workshop& w)
     {
       auto forger = Workshop::forger();
       forger.write(w.naming_the_real_service());
       auto signature = Workshop::without_cose(forger);
       set_in_signature(signature, "cert", std::nullopt);
       forger.write(signature);
       return Workshop::of(forger);
     },
     {"nothing in it is signed by the service"}},
    {"ALedgerWithoutAnyKeyOfTheServiceWhoseCertificateItHolds",
     [](Workshop& w)
     {
       TestService forger;
       forger.service_cert = w.real.service_cert;
       forger.create();
       auto signature = Workshop::without_cose(forger);
       set_in_signature(signature, "cert", std::nullopt);
       forger.write(signature);
       return Workshop::of(forger);
     },
     {"nothing in it is signed by the service"}},
    {"NodeCertificatesThatTheServiceDidNotIssue",
     [](Workshop& w)
     {
       TestService forger;
       forger.service_cert = w.real.service_cert;
       forger.create();
       forger.write(Workshop::without_cose(forger));
       return Workshop::of(forger);
     },
     {"not one that the service issued"}},
    {"ANodeThatSignsWithoutTheServiceAfterTheServiceSignedItself",
     [](Workshop& w)
     {
       w.real.write_something();
       w.real.write(Workshop::without_cose(w.real));
       return w.with_more();
     },
     {"", "2.9", "2.3"}},
    {"TheServicesCertificateAsThatOfANode",
     [](Workshop& w)
     {
       // A digest that the service's key signed is at hand in every certificate; this one even signs the right root.
       TestService forger;
       forger.service_cert = w.real.service_cert;
       forger.node_key = w.real.service_key;
       forger.node_cert = w.real.service_cert;
       forger.create();
       forger.write(Workshop::without_cose(forger));
       return Workshop::of(forger);
     },
     {"not one that the service issued to a node"}},
    {"AnothersKeyTakesTheServiceOverWithoutARecovery",
     [](Workshop& w)
     {
       const TestService forger;
       w.real.service_key = forger.service_key;
       w.real.service_cert = forger.service_cert;
       w.real.write(w.real.service_info("Opening"));
       w.real.write(w.real.service_info("Open"));
       return w.with_more();
     },
     {"", "2.9", "2.3"}},
    {"AnothersKeyTakesTheServiceOverAndSigns",
     [](Workshop& w)
     {
       w.real.recover();
       w.real.sign();
       return w.with_more();
     },
     {"signed by another service", "2.9", "2.3"}},
    {"AnOlderServiceInfoIsPutBackAfterARecovery",
     [](Workshop& w)
     {
       const auto old = w.real.service_info("Open");
       w.real.recover();
       w.real.sign();
       w.real.write(old);
       return w.with_more();
     },
     {"signed by another service", "2.9", "2.3"}},

    // --- what is signed
    {"EntriesAfterTheLastSignature",
     [](Workshop& w)
     {
       w.real.write(w.naming_the_real_service());
       w.real.write_something();
       return w.with_more();
     },
     {"", "2.9", "2.3"}},
    {"ASignatureOverAnotherTree",
     [](Workshop& w)
     {
       w.real.write_something();
       auto signature = w.real.signature();
       w.real.entries.pop_back();
       w.real.tree.truncate(w.real.tree.size() - 1);
       w.real.write({{"public:app.log", {{"another", "entry"}}}});
       w.real.write(signature);
       return w.with_more();
     },
     {"differs from", "2.9", "2.3"}},
    {"ATreeOfAnotherSize",
     [](Workshop& w)
     {
       auto signature = w.real.signature();
       auto longer = w.real.tree;
       longer.append(crypto::sha256("one more"));
       signature[std::string(tree_table)][std::string(single_key)] = longer.serialise();
       w.real.write(signature);
       return w.with_more();
     },
     {"tree in the signature differs", "2.9", "2.3"}},
    {"ATreeThatIsOneLeafShort",
     [](Workshop& w)
     {
       auto signature = w.real.signature();
       auto shorter = w.real.tree;
       shorter.truncate(shorter.size() - 1);
       signature[std::string(tree_table)][std::string(single_key)] = shorter.serialise();
       w.real.write(signature);
       return w.with_more();
     },
     {"tree in the signature differs", "2.9", "2.3"}},
    {"TheServicesSignatureOfAnEarlierTransaction",
     [](Workshop& w)
     {
       auto signature = w.real.signature();
       kv::WriteSet earlier;
       const auto entry = parse_entry(w.real.entry(9)).value();
       EXPECT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, earlier));
       signature[std::string(cose_signatures_table)] = earlier[std::string(cose_signatures_table)];
       w.real.write(signature);
       return w.with_more();
     },
     {"COSE signature", "2.9", "2.3"}},
    {"TheServicesSignatureNamesAnotherTransaction",
     [](Workshop& w)
     {
       auto signature = w.real.signature();
       const auto cose = crypto::cose_sign_root(w.real.service_key, w.real.tree.root(), {1, "", "", {2, 11}});
       signature[std::string(cose_signatures_table)][std::string(single_key)] = '"' + base::to_base64(cose) + '"';
       w.real.write(signature);
       return w.with_more();
     },
     {"COSE signature says it is 2.11", "2.9", "2.3"}},
    {"ASignatureThatWritesAnotherTableAsWell",
     [](Workshop& w)
     {
       auto signature = w.real.signature();
       signature["public:ccf.gov.members.certs"]["somebody"] = "a certificate";
       w.real.write(signature);
       return w.with_more();
     },
     {"other tables as well", "2.9", "2.3"}},
    {"AnEntryThatTheSignatureOfAnotherBranchCovers",
     [](Workshop& w)
     {
       // Two ledgers that the service signed, as after a disk was put back; a file of each.
       auto files = w.honest();
       for (int batch = 0; batch < 2; ++batch)
       {
         w.branch.write({{"public:app.log", {{"other", std::to_string(batch)}}}});
         w.branch.write_something();
         w.branch.sign(chunk_after);
       }
       files["ledger_4-6.committed"] = w.branch.chunk(4, 6, true);
       return files;
     },
     {"differs from the entries before it"}},

    // --- signed is not committed
    {"TheSignedSuffixOfADeposedPrimary",
     [](Workshop& w)
     {
       // It signs on while nobody follows: its trees go on to begin where it last heard of a commit.
       w.real.tree.flush(6);
       for (int batch = 0; batch < 3; ++batch)
       {
         w.real.write_something();
         w.real.sign();
       }
       return w.with_more();
     },
     {"", "2.15", "2.6"}},
    {"ATreeThatClaimsACommitInTheLastSignature",
     [](Workshop& w)
     {
       // Its root, and so its signatures, stay right.
       w.real.write_something();
       auto signature = w.real.signature();
       auto flushed = w.real.tree;
       flushed.flush(9);
       signature[std::string(tree_table)][std::string(single_key)] = flushed.serialise();
       w.real.write(signature);
       return w.with_more();
     },
     {"", "2.11", "2.6"}},
    {"AFileNamedCommittedThatIsOnlySigned",
     [](Workshop& w)
     {
       w.real.write_something();
       w.real.sign(chunk_after);
       auto files = w.honest();
       files.erase("ledger_7");
       files["ledger_7-11.committed"] = w.real.chunk(7, 11, true);
       return files;
     },
     {"", "2.11", "2.6"}},

    // --- files
    {"NothingAtAll", [](Workshop&) { return Files{}; }, {"nothing in it is signed"}},
    {"AnEmptyFile", [](Workshop&) { return Files{{"ledger_1", ""}}; }, {"nothing in it is signed"}},
    {"NothingSigned",
     [](Workshop& w) { return Files{{"ledger_1", w.real.chunk(1, 2, false)}}; },
     {"nothing in it is signed"}},
    {"AChunkIsMissing",
     [](Workshop& w)
     {
       auto files = w.honest();
       files.erase("ledger_4-6.committed");
       return files;
     },
     {"does not continue", "2.3"}},
    {"TheFirstChunkIsMissing",
     [](Workshop& w)
     {
       auto files = w.honest();
       files.erase("ledger_1-3.committed");
       return files;
     },
     {"does not continue"}},
    {"TwoChunksChangePlaces",
     [](Workshop& w)
     {
       auto files = w.honest();
       std::swap(files["ledger_1-3.committed"], files["ledger_4-6.committed"]);
       return files;
     },
     {"belongs"}},
    {"AChunkStandsThereTwice",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"] = w.real.chunk(4, 6, false);
       return files;
     },
     {"signed entries are damaged"}},
    {"TwoCommittedFilesBeginAtOneSeqno",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_4-9.committed"] = w.real.chunk(4, 9, true);
       return files;
     },
     {"is not the same file"}},
    {"ASeqnoTwice",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"] = w.real.chunk(7, 7, false) + w.real.chunk(7, 9, false).substr(8);
       return files;
     },
     {"signed entries are damaged"}},
    {"AnEntryLeftOut",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"] = w.real.chunk(7, 7, false) + w.real.chunk(9, 9, false).substr(8);
       return files;
     },
     {"signed entries are damaged"}},
    {"ACommittedChunkIsCut",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_4-6.committed"].resize(files["ledger_4-6.committed"].size() / 2);
       return files;
     },
     {"ledger_4-6"}},
    {"TheLastCommittedChunkIsCut",
     [](Workshop& w)
     {
       auto files = w.honest();
       files.erase("ledger_7");
       files["ledger_4-6.committed"].resize(files["ledger_4-6.committed"].size() - 40);
       return files;
     },
     {"ledger_4-6"}},
    {"TheOpenFileIsCutInTheMiddleOfAnEntry",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"].resize(8 + w.real.entry(7).size() + 50);
       return files;
     },
     {"", "2.6", ""}},
    {"TheOpenFileIsCutInTheMiddleOfItsSignature",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"].resize(files["ledger_7"].size() - 40);
       return files;
     },
     {"", "2.6", ""}},
    {"TheOpenFileIsGone",
     [](Workshop& w)
     {
       // Nothing can tell this from a ledger that ended there; the verdict says how far it goes.
       auto files = w.honest();
       files.erase("ledger_7");
       return files;
     },
     {"", "2.6", ""}},
    {"ALengthInTheOpenFileIsChangedToSwallowWhatFollows",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"][8 + 3] = '\x7f';
       return files;
     },
     {"signed entries are damaged", "2.6"}},
    {"TheLengthOfTheLastSignatureIsChanged",
     [](Workshop& w)
     {
       auto files = w.honest();
       files["ledger_7"][files["ledger_7"].size() - w.real.entry(9).size() + 3] = '\x7f';
       return files;
     },
     {"signed entries are damaged", "2.6"}},
};

class Forgeries : public testing::TestWithParam<Row>
{
};

std::string text(const std::optional<TxId>& txid)
{
  return txid ? txid->to_string() : "";
}

TEST_P(Forgeries, ProveWhatTheServiceSignedAndNothingElse)
{
  Workshop workshop;
  VerifyOptions options;
  options.service_certificate_pem = workshop.real.service_cert.pem();
  const auto files = GetParam().forge(workshop);
  const auto report = verify(files, options);
  const auto& expected = GetParam().expected;
  EXPECT_TRUE(mentions(report, expected.refused_with)) << errors_of(report);
  EXPECT_EQ(report.ok(), expected.refused_with.empty()) << errors_of(report);
  if (!expected.signed_up_to.empty() || expected.refused_with.empty())
  {
    ASSERT_TRUE(report.verdict);
    EXPECT_EQ(text(report.verdict->signed_up_to), expected.signed_up_to);
    EXPECT_EQ(text(report.verdict->committed_up_to), expected.committed_up_to);
    EXPECT_TRUE(report.verdict->service_was_given);
    EXPECT_EQ(report.verdict->service.der(), crypto::Certificate::from_pem(*options.service_certificate_pem)->der());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, Forgeries, testing::ValuesIn(rows), [](const auto& row) { return std::string(row.param.name); });
}
}
