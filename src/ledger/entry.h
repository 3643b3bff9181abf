#pragma once

#include "ledger/secret.h"

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
inline constexpr std::uint8_t chunk_after = 0x01;  ///< entry flag: the chunk ends with this entry
inline constexpr std::uint8_t chunk_before = 0x02; ///< entry flag: a chunk begins with this entry

inline constexpr std::size_t entry_header_size = 8;
/// Header, tag, IV, length of the public domain, and its type, version and max conflict version.
inline constexpr std::size_t min_entry_size = 8 + 16 + 12 + 8 + 1 + 8 + 8;
/// Longer ones are refused: a reader holds a whole entry in memory.
inline constexpr std::uint64_t max_entry_size = std::uint64_t{1} << 30;

/// Names of the tables of a signature transaction (ledger-format.md §6.3).
inline constexpr std::string_view signatures_table = "public:ccf.internal.signatures";
inline constexpr std::string_view cose_signatures_table = "public:ccf.internal.cose_signatures";
inline constexpr std::string_view tree_table = "public:ccf.internal.tree";
/// Key of a table with one entry.
inline constexpr std::string_view single_key{"\0\0\0\0\0\0\0\0", 8};

/// An entry ready to be stored, and the leaf that stands for it in the Merkle tree.
struct EncodedEntry
{
  std::string bytes;
  Digest leaf;
};

/// An entry of type 4 (ledger-format.md §2–5) that has no place yet: what does not depend on it is done, because others
/// wait for the rest, who come after it in the order.
class EntryDraft
{
public:
  EntryDraft();
  /// Where the maps are appended, as `kv::encode` gives them: first the public ones, after `end_public` the private
  /// ones.
  std::string& maps()
  {
    return bytes_;
  }
  void end_public();
  /// Of the entry.
  std::uint64_t size() const
  {
    return bytes_.size();
  }
  /// @pre `end_public` was called
  EncodedEntry encode(const LedgerSecret& secret, TxId txid, std::uint8_t flags, const Digest& claims) &&;

private:
  std::string bytes_;
  std::size_t public_end_ = 0;
};

/// Makes an entry of type 4 (ledger-format.md §2–5).
/// @param public_maps, private_maps as `kv::encode` gives them
EncodedEntry encode_entry(
    const LedgerSecret& secret, TxId txid, std::uint8_t flags, const Digest& claims, std::string_view public_maps,
    std::string_view private_maps);

/// Makes an entry of type 1, a snapshot. Its nonce depends on the seqno alone, so one seqno must always get the same
/// state.
/// @param public_rest  of the public domain, from field 6 on; `private_maps` as kv::encode_snapshot gives them
std::string encode_snapshot_entry(
    const LedgerSecret& secret, Seqno seqno, std::string_view public_rest, std::string_view private_maps);

/// A parsed entry; views point into the bytes it was parsed from.
struct Entry
{
  std::string_view bytes; ///< the whole entry
  std::uint8_t flags = 0;
  bool is_snapshot = false;
  TxId txid; ///< from the IV
  std::uint8_t type = 4;
  std::optional<Digest> claims;   ///< types 2 and 4
  std::optional<Digest> evidence; ///< commit evidence digest, types 3 and 4
  std::uint64_t max_conflict_version = 0;
  crypto::Tag tag;
  crypto::Iv iv;
  std::string_view public_domain; ///< all of it: the AAD
  std::string_view public_maps;   ///< the part of it that `kv::decode` reads (for a snapshot: what follows field 5)
  std::string_view cipher;        ///< the encrypted private domain

  Digest write_set_digest() const;
  Digest leaf() const;
  /// Decrypts and authenticates; Error::corrupt when the tag does not verify.
  Result<std::string> open(const LedgerSecret& secret) const;
};

/// Size of the entry whose 8-byte header starts `bytes`, header included; Error::corrupt for what cannot be a header.
Result<std::uint64_t> entry_size(std::string_view header);

/// The seqno that the IV of an entry names. @pre entry_size() accepts the bytes and they are all there
Seqno entry_seqno(std::string_view bytes);

/// Parses the entry at the start of `bytes`, which may go on after it. Any bytes are safe.
Result<Entry> parse_entry(std::string_view bytes);
}
