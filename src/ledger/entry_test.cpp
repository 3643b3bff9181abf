#include "ledger/entry.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "kv/write_set.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

namespace concordat::ledger
{
namespace
{
std::string unhex(std::string_view hex)
{
  return base::from_hex(hex).value();
}

std::string hex(const Digest& digest)
{
  return base::to_hex(base::as_view(digest));
}

LedgerSecret known_secret()
{
  std::string raw;
  for (char byte = 0; byte < 32; ++byte)
    raw.push_back(byte);
  return LedgerSecret(raw);
}

// The expected values were computed with another implementation of AES-GCM, HMAC and SHA-256 (pyca/cryptography and
// hashlib), following ledger-format.md §2–5 by hand.
const std::string known_public = unhex(
    "0e000000000000007075626c69633a6170702e6c6f6700000000000000000000000000000000010000000000000001000000000000006b"
    "010000000000000076010000000000000001000000000000007a");
const std::string known_private =
    unhex("09000000000000006170702e766f746573000000000000000000000000000000000100000000000"
          "00005000000000000006b6579203106000000000000007365637265740000000000000000");
const std::string known_entry =
    unhex("0101120100000000418dfe3d3803215cd15d6baf626936930f0000000000000002000000a200000000000000040f00000000000000a6"
          "1808fe40"
          "feb8b3433778bbc2ececcaa47c8c47fc1657f054c239efd3f0e9848f98897c958836e4b3df64672373aab2601b3ccb62a937582e0824"
          "e20709ce"
          "ce00000000000000000e000000000000007075626c69633a6170702e6c6f670000000000000000000000000000000001000000000000"
          "0001000"
          "000000000006b010000000000000076010000000000000001000000000000007aa558a51c11df27c07ca7bac461043ef92950cf34697"
          "6b43602"
          "de1a4724572c9dbcb52dd27d78733f4b03fd47aca1ec858a0dd40a33a343e3e32e9cced859376ae28c4f5555b5f1962d3a521e");

TEST(LedgerSecret, CommitEvidenceHasTheKnownValue)
{
  EXPECT_EQ(
      known_secret().commit_evidence({2, 15}),
      "ce:2.15:0a4c9023a96bddbcc694c8c5fd0350a1f5c650334c1f6c7a77f5743621f9e26d");
}

TEST(LedgerSecret, GeneratedOnesDiffer)
{
  EXPECT_NE(LedgerSecret::generate().raw(), LedgerSecret::generate().raw());
}

TEST(Entry, EncodesToTheKnownBytesAndLeaf)
{
  const auto entry =
      encode_entry(known_secret(), {2, 15}, chunk_after, crypto::sha256("claims"), known_public, known_private);
  EXPECT_EQ(base::to_hex(entry.bytes), base::to_hex(known_entry));
  EXPECT_EQ(hex(entry.leaf), "f0363aed15958bdbaa4d7dd7b9f0af4a1a0236ac267396bbcab89eb85012ee63");
}

TEST(Entry, ParsesTheKnownBytes)
{
  const auto bytes = known_entry + "what follows is not looked at";
  const auto entry = parse_entry(bytes);
  ASSERT_TRUE(entry) << entry.error().describe();
  EXPECT_EQ(entry->bytes, known_entry);
  EXPECT_EQ(entry->txid, (TxId{2, 15}));
  EXPECT_EQ(entry_seqno(entry->bytes), 15U);
  EXPECT_EQ(entry->flags, chunk_after);
  EXPECT_EQ(entry->type, 4);
  EXPECT_FALSE(entry->is_snapshot);
  EXPECT_EQ(entry->claims, crypto::sha256("claims"));
  EXPECT_EQ(entry->evidence, crypto::sha256(known_secret().commit_evidence({2, 15})));
  EXPECT_EQ(entry->public_maps, known_public);
  EXPECT_EQ(hex(entry->leaf()), "f0363aed15958bdbaa4d7dd7b9f0af4a1a0236ac267396bbcab89eb85012ee63");
  EXPECT_EQ(entry->open(known_secret()).value(), known_private);
}

TEST(Entry, AnEmptyPrivateDomainIsStillAuthenticated)
{
  const auto secret = known_secret();
  auto encoded = encode_entry(secret, {3, 1}, 0, {}, known_public, {});
  ASSERT_EQ(parse_entry(encoded.bytes)->open(secret).value(), "");
  encoded.bytes.back() ^= 1;
  const auto opened = parse_entry(encoded.bytes)->open(secret);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
}

TEST(Entry, TheNonceHoldsAllOfViewAndSeqno)
{
  std::set<crypto::Iv> nonces;
  for (const View view : {View{1}, View{0x0102}, View{0x010203}, View{0x01020304}, View{0x7fffffff}})
    for (const Seqno seqno : {Seqno{1}, Seqno{0x0102030405}, (Seqno{1} << 63) - 1})
    {
      const auto bytes = encode_entry(known_secret(), {view, seqno}, 0, {}, {}, "private").bytes;
      const auto entry = parse_entry(bytes);
      ASSERT_TRUE(entry) << view << "." << seqno;
      EXPECT_EQ(entry->txid, (TxId{view, seqno}));
      EXPECT_EQ(entry->open(known_secret()).value(), "private");
      EXPECT_TRUE(nonces.insert(entry->iv).second);
    }
}

TEST(Entry, AnotherSecretDoesNotOpenIt)
{
  EXPECT_FALSE(parse_entry(known_entry)->open(LedgerSecret::generate()));
}

TEST(Entry, EveryFlippedBitAfterTheHeaderIsRefusedByParserOrTag)
{
  const auto secret = known_secret();
  for (std::size_t at = entry_header_size; at < known_entry.size(); ++at)
    for (int bit = 0; bit < 8; ++bit)
    {
      auto bytes = known_entry;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
      const auto entry = parse_entry(bytes);
      ASSERT_TRUE(!entry || !entry->open(secret)) << "byte " << at << " bit " << bit;
    }
}

TEST(Entry, EveryFlippedBitChangesTheLeafOrIsRefused)
{
  const auto leaf = parse_entry(known_entry)->leaf();
  for (std::size_t at = 0; at < known_entry.size(); ++at)
  {
    auto bytes = known_entry;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
    const auto entry = parse_entry(bytes);
    ASSERT_TRUE(!entry || entry->leaf() != leaf) << "byte " << at;
  }
}

TEST(Entry, CutAtAnyPlaceItIsRefused)
{
  for (std::size_t size = 0; size < known_entry.size(); ++size)
  {
    const auto entry = parse_entry(std::string_view(known_entry).substr(0, size));
    ASSERT_FALSE(entry) << size;
    ASSERT_EQ(entry.error().code, ErrorCode::corrupt);
  }
}

TEST(Entry, HeadersThatCannotBeOnesAreRefused)
{
  const auto with = [](std::size_t at, unsigned char byte)
  {
    auto bytes = known_entry;
    bytes[at] = static_cast<char>(byte);
    return bytes;
  };
  EXPECT_EQ(entry_size(known_entry).value(), known_entry.size());
  EXPECT_FALSE(entry_size(with(0, 0))) << "version";
  EXPECT_FALSE(entry_size(with(0, 2))) << "version";
  EXPECT_FALSE(entry_size(with(1, 4))) << "flags";
  EXPECT_FALSE(entry_size(with(6, 1))) << "1 TiB";
  EXPECT_FALSE(entry_size(unhex("0100240000000000"))) << "no room for a public domain";
  EXPECT_TRUE(entry_size(unhex("0100f8ffff3f0000"))) << "1 GiB";
  EXPECT_FALSE(entry_size(unhex("0100f9ffff3f0000"))) << "more than 1 GiB";
}

TEST(Entry, ContradictionsBetweenItsFieldsAreRefused)
{
  const auto with = [](std::size_t at, unsigned char byte)
  {
    auto bytes = known_entry;
    bytes[at] = static_cast<char>(byte);
    return parse_entry(bytes);
  };
  EXPECT_FALSE(with(24, 16)) << "seqno in the IV and in the domain";
  EXPECT_FALSE(with(35, 0x80)) << "snapshot bit on a transaction";
  EXPECT_FALSE(with(32, 0)) << "view 0";
  EXPECT_FALSE(with(44, 1)) << "a snapshot without the bit";
  EXPECT_FALSE(with(44, 5)) << "type 5";
  EXPECT_FALSE(with(36, 0xff)) << "a domain longer than the entry";
  EXPECT_FALSE(with(43, 0xff)) << "a domain longer than the entry";
  EXPECT_FALSE(with(36, 80)) << "a domain that ends inside its max conflict version";
  EXPECT_FALSE(with(36, 0)) << "an empty domain";
}

TEST(Entry, LeavesOfOlderTypesAreHashedAsTheSheetSays)
{
  // Types 0, 2 and 3 are never written, so the bytes of a type 4 entry are made into them.
  const auto make = [](unsigned char type)
  {
    auto domain = known_entry.substr(44, 162);
    domain[0] = static_cast<char>(type);
    if (type == 0 || type == 2)
      domain.erase(9 + 32, 32);
    if (type == 0 || type == 3)
      domain.erase(9, 32);
    std::string bytes;
    base::append_le<std::uint64_t>(bytes, 1 | (36 + domain.size()) << 16);
    bytes += known_entry.substr(8, 28);
    base::append_lp(bytes, domain);
    return bytes;
  };
  const auto claims = crypto::sha256("claims");
  const auto evidence = crypto::sha256(known_secret().commit_evidence({2, 15}));
  const auto leaf = [&](unsigned char type)
  {
    const auto bytes = make(type);
    const auto entry = parse_entry(bytes);
    EXPECT_TRUE(entry) << entry.error().describe();
    EXPECT_EQ(entry->public_maps, known_public);
    return entry->leaf();
  };
  const auto digest = [&](unsigned char type) { return crypto::sha256(make(type)); };
  EXPECT_EQ(leaf(0), digest(0));
  EXPECT_EQ(leaf(2), crypto::sha256({base::as_view(digest(2)), base::as_view(claims)}));
  EXPECT_EQ(leaf(3), crypto::sha256({base::as_view(digest(3)), base::as_view(evidence)}));
}

TEST(Entry, RandomBytesAreNeverMoreThanRefused)
{
  const char* const given = std::getenv("CONCORDAT_TEST_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("CONCORDAT_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round)
  {
    auto bytes = known_entry.substr(0, random() % (known_entry.size() + 1));
    for (auto changes = random() % 4; changes > 0 && !bytes.empty(); --changes)
      bytes[random() % std::min<std::size_t>(bytes.size(), 64)] = static_cast<char>(random());
    if (const auto entry = parse_entry(bytes))
    {
      kv::WriteSet writes;
      (void)kv::decode(entry->public_maps, kv::Domain::public_maps, writes);
      ASSERT_LE(entry->bytes.size(), bytes.size());
      (void)entry->leaf();
    }
  }
}
}
}
