#include "ledger/entry.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"

#include <cstring>

namespace concordat::ledger
{
namespace
{
// Offsets in an entry (ledger-format.md §2).
constexpr std::size_t tag_at = entry_header_size;
constexpr std::size_t iv_at = tag_at + 16;
constexpr std::size_t domain_size_at = iv_at + 12;
constexpr std::size_t domain_at = domain_size_at + 8;
/// Type, version, claims, evidence and max conflict version of a type 4 entry.
constexpr std::size_t domain_head_size = 1 + 8 + 32 + 32 + 8;

/// The same of a snapshot: type, version and max conflict version.
constexpr std::size_t snapshot_head_size = 1 + 8 + 8;

constexpr std::uint8_t type_snapshot = 1;
constexpr std::uint8_t type_claims = 2;
constexpr std::uint8_t type_evidence = 3;
constexpr std::uint8_t type_evidence_and_claims = 4;

constexpr std::uint32_t snapshot_bit = 0x80000000;

std::uint64_t read_le(std::string_view bytes, std::size_t at, std::size_t size)
{
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

crypto::Iv iv_of(TxId txid)
{
  crypto::Iv iv;
  for (std::size_t i = 0; i < 8; ++i)
    iv[i] = static_cast<unsigned char>(txid.seqno >> (8 * i));
  for (std::size_t i = 0; i < 4; ++i)
    iv[8 + i] = static_cast<unsigned char>(txid.view >> (8 * i));
  return iv;
}

std::string_view view_of(const Digest& digest)
{
  return base::as_view(digest);
}

std::unexpected<Error> corrupt(std::string message)
{
  return fail(ErrorCode::corrupt, std::move(message));
}

/// Reads the fields of the public domain that stand before the maps (ledger-format.md §4.1).
Result<void> read_domain_head(Entry& entry)
{
  base::Reader reader(entry.public_domain);
  const auto type = reader.le<std::uint8_t>();
  const auto version = reader.le<std::uint64_t>();
  if (!type || !version)
    return corrupt("the public domain ends before its version");
  if (*type > type_evidence_and_claims)
    return corrupt("unknown entry type " + std::to_string(*type));
  if ((*type == type_snapshot) != entry.is_snapshot)
    return corrupt("entry type " + std::to_string(*type) + " and the snapshot bit of the IV contradict each other");
  if (*version != entry.txid.seqno)
    return corrupt(
        "the public domain says version " + std::to_string(*version) + ", the IV " + std::to_string(entry.txid.seqno));
  entry.type = *type;

  const auto read_digest = [&reader](std::optional<Digest>& into) -> Result<void>
  {
    const auto bytes = reader.take(std::tuple_size_v<Digest>);
    if (!bytes)
      return corrupt("the public domain ends inside a digest");
    into.emplace();
    std::memcpy(into->data(), bytes->data(), into->size());
    return {};
  };
  if (entry.type == type_claims || entry.type == type_evidence_and_claims)
    if (auto read = read_digest(entry.claims); !read)
      return read;
  if (entry.type == type_evidence || entry.type == type_evidence_and_claims)
    if (auto read = read_digest(entry.evidence); !read)
      return read;
  const auto max_conflict = reader.le<std::uint64_t>();
  if (!max_conflict)
    return corrupt("the public domain ends before its max conflict version");
  entry.max_conflict_version = *max_conflict;
  entry.public_maps = reader.rest();
  return {};
}
}

EntryDraft::EntryDraft() : bytes_(domain_at + domain_head_size, '\0') {}

void EntryDraft::end_public()
{
  public_end_ = bytes_.size();
}

EncodedEntry EntryDraft::encode(const LedgerSecret& secret, TxId txid, std::uint8_t flags, const Digest& claims) &&
{
  CHECK(public_end_ != 0, "the public maps end somewhere");
  CHECK(txid.seqno >= 1 && txid.seqno < std::uint64_t{1} << 63, "seqnos are counted up from 1");
  CHECK(txid.view >= 1 && txid.view < snapshot_bit, "a view that large is never reached");
  CHECK((flags & ~(chunk_after | chunk_before)) == 0, "no other flags exist");
  CHECK(bytes_.size() <= max_entry_size, "what a transaction may write is limited far below that");

  const Digest evidence = crypto::sha256(secret.commit_evidence(txid));
  const auto iv = iv_of(txid);
  std::string head;
  base::append_le<std::uint64_t>(
      head, 1 | std::uint64_t{flags} << 8 | (std::uint64_t{bytes_.size()} - entry_header_size) << 16);
  head.append(sizeof(crypto::Tag), '\0');
  head.append(reinterpret_cast<const char*>(iv.data()), iv.size());
  base::append_le<std::uint64_t>(head, public_end_ - domain_at);
  head.push_back(static_cast<char>(type_evidence_and_claims));
  base::append_le<std::uint64_t>(head, txid.seqno);
  head.append(view_of(claims));
  head.append(view_of(evidence));
  base::append_le<std::uint64_t>(head, 0);
  CHECK(head.size() == domain_at + domain_head_size, "room was made for all of it");
  std::memcpy(bytes_.data(), head.data(), head.size());

  const auto tag = secret.aead().seal(
      iv, std::string_view(bytes_).substr(domain_at, public_end_ - domain_at), bytes_.data() + public_end_,
      bytes_.size() - public_end_);
  std::memcpy(bytes_.data() + tag_at, tag.data(), tag.size());

  EncodedEntry encoded{std::move(bytes_), {}};
  const Digest write_set = crypto::sha256(encoded.bytes);
  encoded.leaf = crypto::sha256({view_of(write_set), view_of(evidence), view_of(claims)});
  return encoded;
}

EncodedEntry encode_entry(
    const LedgerSecret& secret, TxId txid, std::uint8_t flags, const Digest& claims, std::string_view public_maps,
    std::string_view private_maps)
{
  EntryDraft draft;
  draft.maps() += public_maps;
  draft.end_public();
  draft.maps() += private_maps;
  return std::move(draft).encode(secret, txid, flags, claims);
}

std::string encode_snapshot_entry(
    const LedgerSecret& secret, Seqno seqno, std::string_view public_rest, std::string_view private_maps)
{
  CHECK(seqno >= 1 && seqno < std::uint64_t{1} << 63, "seqnos are counted up from 1");
  const auto iv = iv_of({snapshot_bit, seqno});
  const auto domain_size = snapshot_head_size + public_rest.size();
  const auto size = domain_at + domain_size + private_maps.size();
  CHECK(size <= max_entry_size, "a larger state is refused before");
  std::string out;
  out.reserve(size);
  base::append_le<std::uint64_t>(out, 1 | (std::uint64_t{size} - entry_header_size) << 16);
  out.append(sizeof(crypto::Tag), '\0');
  out.append(reinterpret_cast<const char*>(iv.data()), iv.size());
  base::append_le<std::uint64_t>(out, domain_size);
  out.push_back(static_cast<char>(type_snapshot));
  base::append_le<std::uint64_t>(out, seqno);
  base::append_le<std::uint64_t>(out, 0);
  out += public_rest;
  out += private_maps;
  const auto tag = secret.aead().seal(
      iv, std::string_view(out).substr(domain_at, domain_size), out.data() + domain_at + domain_size,
      private_maps.size());
  std::memcpy(out.data() + tag_at, tag.data(), tag.size());
  return out;
}

Digest Entry::write_set_digest() const
{
  return crypto::sha256(bytes);
}

Digest Entry::leaf() const
{
  const Digest write_set = write_set_digest();
  if (evidence && claims)
    return crypto::sha256({view_of(write_set), view_of(*evidence), view_of(*claims)});
  if (evidence)
    return crypto::sha256({view_of(write_set), view_of(*evidence)});
  if (claims)
    return crypto::sha256({view_of(write_set), view_of(*claims)});
  return write_set;
}

Result<std::string> Entry::open(const LedgerSecret& secret) const
{
  auto text = secret.aead().open(iv, public_domain, cipher, tag);
  if (!text)
    return fail("entry " + txid.to_string() + " does not authenticate under the ledger secret", text.error());
  return text;
}

Result<std::uint64_t> entry_size(std::string_view header)
{
  if (header.size() < entry_header_size)
    return corrupt("an entry header has 8 bytes, " + std::to_string(header.size()) + " are there");
  const auto version = static_cast<unsigned char>(header[0]);
  const auto flags = static_cast<unsigned char>(header[1]);
  if (version != 1)
    return corrupt("entry header version " + std::to_string(version) + ", only 1 is known");
  if ((flags & ~(chunk_after | chunk_before)) != 0)
    return corrupt("unknown entry flags " + std::to_string(flags));
  const auto size = read_le(header, 2, 6) + entry_header_size;
  if (size < min_entry_size)
    return corrupt("an entry of " + std::to_string(size) + " bytes is too short to be one");
  if (size > max_entry_size)
    return corrupt("an entry of " + std::to_string(size) + " bytes is longer than the limit of 1 GiB");
  return size;
}

Seqno entry_seqno(std::string_view bytes)
{
  CHECK(bytes.size() >= min_entry_size, "entry_size() has refused anything shorter");
  return read_le(bytes, iv_at, 8);
}

Result<Entry> parse_entry(std::string_view bytes)
{
  const auto size = entry_size(bytes);
  if (!size)
    return std::unexpected(size.error());
  if (*size > bytes.size())
    return corrupt(
        "an entry of " + std::to_string(*size) + " bytes does not fit into the " + std::to_string(bytes.size()) +
        " that are left");

  Entry entry;
  entry.bytes = bytes.substr(0, static_cast<std::size_t>(*size));
  entry.flags = static_cast<std::uint8_t>(bytes[1]);
  std::memcpy(entry.tag.data(), bytes.data() + tag_at, entry.tag.size());
  std::memcpy(entry.iv.data(), bytes.data() + iv_at, entry.iv.size());
  const auto view_field = static_cast<std::uint32_t>(read_le(bytes, iv_at + 8, 4));
  entry.txid = {view_field & ~snapshot_bit, entry_seqno(entry.bytes)};
  entry.is_snapshot = (view_field & snapshot_bit) != 0;
  if (entry.txid.seqno == 0 || entry.txid.seqno >= std::uint64_t{1} << 63)
    return corrupt("no transaction has the seqno " + std::to_string(entry.txid.seqno));
  if ((entry.txid.view == 0) != entry.is_snapshot)
    return corrupt("view " + std::to_string(entry.txid.view) + (entry.is_snapshot ? " in a snapshot" : ""));
  if (entry.is_snapshot && entry.flags != 0)
    return corrupt("a snapshot with chunk flags");

  const auto domain_size = read_le(bytes, domain_size_at, 8);
  const auto rest = entry.bytes.substr(domain_at);
  if (domain_size > rest.size())
    return corrupt(
        "a public domain of " + std::to_string(domain_size) + " bytes does not fit into the " +
        std::to_string(rest.size()) + " that the entry has");
  entry.public_domain = rest.substr(0, static_cast<std::size_t>(domain_size));
  entry.cipher = rest.substr(static_cast<std::size_t>(domain_size));
  if (auto read = read_domain_head(entry); !read)
    return std::unexpected(read.error());
  return entry;
}
}
