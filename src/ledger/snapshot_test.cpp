#include "ledger/snapshot.h"

#include "crypto/hash.h"
#include "kv/snapshot_bytes.h"
#include "kv/write_set.h"
#include "ledger/receipt.h"
#include "ledger/test_foreign.h"
#include "ledger/test_service.h"

#include <gtest/gtest.h>

#include <map>

namespace concordat::ledger
{
namespace
{
kv::State state_at(TxId txid)
{
  kv::State state;
  kv::WriteSet writes;
  writes["public:open"]["key"] = "value";
  writes["secret"]["key"] = "hidden";
  state.apply(writes, txid);
  return state;
}

std::string what(const Result<SnapshotFile>& parsed)
{
  return parsed ? "" : parsed.error().describe();
}

class ForeignSnapshots : public ForeignLedger
{
protected:
  /// The public maps of a service, folded up to a transaction.
  kv::State fold(const std::string& service, Seqno last) const
  {
    std::map<Seqno, std::string> entries;
    for (const auto& [name, bytes] : load(service + "/ledger"))
      for (auto rest = std::string_view(bytes).substr(8); rest.size() >= entry_header_size;)
      {
        const auto entry = parse_entry(rest);
        if (!entry)
          break; // the table behind the entries
        entries[entry->txid.seqno] = entry->bytes;
        rest.remove_prefix(entry->bytes.size());
      }
    kv::State state;
    for (const auto& [seqno, bytes] : entries)
    {
      if (seqno > last)
        break;
      const auto entry = *parse_entry(bytes);
      kv::WriteSet writes;
      EXPECT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, writes));
      // To CCF, removing what is not there is no write; it makes the map, though.
      for (auto& [name, changes] : writes)
      {
        auto& tree = state.restore_map(name, 0);
        absl::erase_if(changes, [&](const auto& one) { return !one.second && !tree.find(one.first); });
      }
      state.apply(writes, entry.txid);
    }
    EXPECT_EQ(state.seqno(), last);
    return state;
  }
  crypto::Certificate service(const std::string& name) const
  {
    return crypto::Certificate::from_pem(content(name + "/common/service_cert.pem")).value();
  }
};
}

TEST(SnapshotFile, OfOneSeqnoTheBytesAreTheSame)
{
  const LedgerSecret secret = LedgerSecret::generate();
  const auto state = state_at({3, 20});
  const auto once = encode_snapshot(state, Digest{1}, {1, 1, 12}, secret);
  EXPECT_EQ(encode_snapshot(state, Digest{1}, {1, 1, 12}, secret), once);

  const auto parsed = SnapshotFile::parse(once);
  ASSERT_TRUE(parsed) << what(parsed);
  EXPECT_EQ(parsed->seqno, 20U);
  EXPECT_EQ(parsed->view(), 3U);
  EXPECT_EQ(parsed->leaf, Digest{1});
  EXPECT_EQ(parsed->receipt, "");
  const auto loaded = parsed->load(secret);
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(loaded->txid(), (TxId{3, 20}));
  EXPECT_EQ(loaded->find("secret")->tree.find("key")->value, "hidden");
  EXPECT_EQ(loaded->find("public:open")->tree.find("key")->version, 20U);
  EXPECT_EQ(once.find("hidden"), std::string::npos);
  EXPECT_FALSE(parsed->load(LedgerSecret::generate()));
}

TEST(SnapshotFile, RefusesWhatIsNone)
{
  const LedgerSecret secret = LedgerSecret::generate();
  EXPECT_FALSE(SnapshotFile::parse(""));
  EXPECT_NE(
      what(SnapshotFile::parse(encode_entry(secret, {2, 5}, 0, Digest{}, "", "").bytes)).find("not a snapshot"),
      std::string::npos);
  for (const auto& views : {std::vector<Seqno>{5, 4}, std::vector<Seqno>{21}})
    EXPECT_NE(
        what(SnapshotFile::parse(encode_snapshot(state_at({1, 20}), Digest{}, views, secret))).find("history of views"),
        std::string::npos);
  const auto good = encode_snapshot(state_at({1, 20}), Digest{}, {1}, secret);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(SnapshotFile::parse(std::string_view(good).substr(0, size))) << size;
  for (std::size_t at = 8; at < good.size(); ++at)
  {
    auto changed = good;
    changed[at] ^= 1;
    const auto parsed = SnapshotFile::parse(changed);
    EXPECT_FALSE(parsed && parsed->load(secret)) << at;
  }
}

namespace
{
/// A service that has taken a snapshot, written evidence of it, and signed that.
struct OwnSnapshot : testing::Test
{
  OwnSnapshot()
  {
    service.create();
    service.write_something();
    service.sign();
    entry = encode_snapshot(state_at({2, service.next().seqno - 1}), Digest{}, {1, 1}, service.secret);
  }
  std::string receipt(const Digest& claims)
  {
    kv::WriteSet writes;
    writes["public:ccf.internal.snapshot_evidence"][std::string(single_key)] = "{}";
    const auto evidence = service.next().seqno;
    service.write(writes, 0, claims);
    service.sign();
    return make_receipt(
               *parse_entry(service.entry(evidence)), *parse_entry(service.entry(evidence + 1)), service.secret)
        ->to_json();
  }
  std::string failure(const std::string& file) const
  {
    const auto verified = SnapshotFile::parse(file)->verify(service.service_cert);
    return verified ? "" : verified.error().describe();
  }

  TestService service;
  std::string entry;
};
}

TEST_F(OwnSnapshot, IsProvenByTheReceiptOfItsEvidence)
{
  EXPECT_EQ(failure(entry + receipt(crypto::sha256(entry))), "");
  EXPECT_NE(failure(entry).find("no receipt"), std::string::npos);
  EXPECT_NE(failure(entry + "{}").find("the receipt behind"), std::string::npos);
  EXPECT_NE(failure(entry + receipt(Digest{1})).find("is of other bytes"), std::string::npos);
}

TEST_F(OwnSnapshot, EvidenceFromBeforeItProvesNothing)
{
  // As if somebody had known the bytes before: a seqno that the service has not come to yet.
  const auto later = encode_snapshot(state_at({2, 1'000}), Digest{}, {1, 1}, service.secret);
  EXPECT_NE(failure(later + receipt(crypto::sha256(later))).find("earlier transaction"), std::string::npos);
}

TEST_F(OwnSnapshot, AReceiptOfASignatureProvesNothing)
{
  service.sign();
  const auto& last = service.entry(service.next().seqno - 1);
  const auto of_signature = make_receipt(*parse_entry(last), *parse_entry(last), service.secret)->to_json();
  EXPECT_NE(failure(entry + of_signature).find("carries no digest"), std::string::npos);
}

TEST_F(ForeignSnapshots, HoldWhatTheirLedgersFoldTo)
{
  for (const auto* const name : {"service_a", "service_b"})
    for (const auto& [file, bytes] : load(std::string(name) + "/snapshots"))
    {
      SCOPED_TRACE(file);
      const auto snapshot = SnapshotFile::parse(bytes);
      ASSERT_TRUE(snapshot) << what(snapshot);
      EXPECT_TRUE(file.starts_with("snapshot_" + std::to_string(snapshot->seqno) + "_"));
      const auto state = fold(name, snapshot->seqno);
      EXPECT_EQ(state.txid(), (TxId{snapshot->view(), snapshot->seqno}));
      std::string again;
      kv::encode_snapshot(state, kv::Domain::public_maps, again);
      EXPECT_TRUE(again == snapshot->public_maps) << "byte for byte";
    }
}

TEST_F(ForeignSnapshots, AreProvenByTheirService)
{
  for (const auto* const name : {"service_a", "service_b"})
    for (const auto& [file, bytes] : load(std::string(name) + "/snapshots"))
    {
      SCOPED_TRACE(file);
      const auto snapshot = *SnapshotFile::parse(bytes);
      const auto proven = snapshot.verify(service(name));
      ASSERT_TRUE(proven) << proven.error().describe();
      EXPECT_TRUE(file.ends_with("_" + std::to_string(proven->seqno) + ".committed"));
      const auto* const other = std::string_view(name) == "service_a" ? "service_b" : "service_a";
      EXPECT_FALSE(snapshot.verify(service(other)));

      auto changed = bytes;
      changed[100] ^= 1;
      const auto forged = SnapshotFile::parse(changed);
      EXPECT_FALSE(forged && forged->verify(service(name)));
      const auto bare = SnapshotFile::parse(snapshot.entry.bytes);
      ASSERT_TRUE(bare);
      EXPECT_FALSE(bare->verify(service(name)));
    }
}

TEST_F(ForeignSnapshots, AReceiptOfAnotherSnapshotProvesNothing)
{
  const auto files = load("service_b/snapshots");
  const auto one = *SnapshotFile::parse(files.at("snapshot_84_85.committed"));
  const auto other = *SnapshotFile::parse(files.at("snapshot_90_91.committed"));
  const auto mixed = std::string(one.entry.bytes) + std::string(other.receipt);
  const auto proven = SnapshotFile::parse(mixed)->verify(service("service_b"));
  ASSERT_FALSE(proven);
  EXPECT_NE(proven.error().describe().find("other bytes"), std::string::npos);
}
}
