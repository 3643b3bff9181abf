#include "ledger/snapshot.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "kv/snapshot_bytes.h"
#include "ledger/receipt.h"

#include <algorithm>
#include <utility>

namespace concordat::ledger
{
namespace
{
std::unexpected<Error> corrupt(std::string message)
{
  return fail(ErrorCode::corrupt, std::move(message));
}

/// Where each view began never goes back, and ends with the view of `seqno`.
Result<std::vector<Seqno>> read_views(std::string_view bytes, Seqno seqno)
{
  std::vector<Seqno> views;
  base::Reader reader(bytes);
  while (!reader.done())
  {
    const auto begins = reader.le<std::uint64_t>();
    if (!begins || *begins > seqno || (!views.empty() && *begins < views.back()))
      return corrupt("the snapshot's history of views cannot be");
    views.push_back(*begins);
  }
  return views;
}
}

Result<SnapshotFile> SnapshotFile::parse(std::string_view bytes)
{
  auto entry = parse_entry(bytes);
  if (!entry)
    return fail("the snapshot cannot be read", entry.error());
  if (!entry->is_snapshot)
    return corrupt("the file holds transaction " + entry->txid.to_string() + ", not a snapshot");
  SnapshotFile out;
  out.seqno = entry->txid.seqno;
  base::Reader reader(entry->public_maps);
  const auto leaf = reader.lp();
  const auto digest = leaf ? base::to_digest(*leaf) : std::unexpected(leaf.error());
  if (!digest)
    return fail("the snapshot's digest of its last transaction", digest.error());
  out.leaf = *digest;
  const auto views = reader.lp();
  if (!views)
    return fail("the snapshot's history of views", views.error());
  auto read = read_views(*views, out.seqno);
  if (!read)
    return std::unexpected(read.error());
  out.views = std::move(*read);
  out.public_maps = reader.rest();
  out.receipt = bytes.substr(entry->bytes.size());
  out.entry = std::move(*entry);
  return out;
}

Result<TxId> SnapshotFile::verify(const crypto::Certificate& service) const
{
  if (receipt.empty())
    return corrupt("no receipt stands behind the snapshot");
  const auto proof = Receipt::from_json(receipt);
  if (!proof)
    return fail("the receipt behind the snapshot", proof.error());
  // A receipt without components is of a signature, which carries no digest.
  if (!proof->components || !proof->components->claims_digest)
    return corrupt("the receipt behind the snapshot is of a transaction that carries no digest");
  if (*proof->components->claims_digest != crypto::sha256(entry.bytes))
    return corrupt("the receipt behind the snapshot is of other bytes");
  auto proven = proof->verify(service);
  if (!proven)
    return fail("the receipt behind the snapshot", proven.error());
  if (proven->seqno <= seqno)
    return corrupt(
        "the snapshot of transaction " + std::to_string(seqno) + " has a receipt of the earlier transaction " +
        proven->to_string());
  return proven;
}

View SnapshotFile::view() const
{
  return static_cast<View>(std::ranges::upper_bound(views, seqno) - views.begin());
}

Result<kv::State> SnapshotFile::load(const LedgerSecret& secret) const
{
  kv::State state;
  if (auto read = kv::decode_snapshot(public_maps, kv::Domain::public_maps, seqno, state); !read)
    return std::unexpected(read.error());
  const auto private_maps = entry.open(secret);
  if (!private_maps)
    return std::unexpected(private_maps.error());
  if (auto read = kv::decode_snapshot(*private_maps, kv::Domain::private_maps, seqno, state); !read)
    return std::unexpected(read.error());
  state.restore_txid({view(), seqno});
  return state;
}

std::string
encode_snapshot(const kv::State& state, const Digest& leaf, const std::vector<Seqno>& views, const LedgerSecret& secret)
{
  std::string rest;
  base::append_lp(rest, base::as_view(leaf));
  base::append_le<std::uint64_t>(rest, views.size() * sizeof(Seqno));
  for (const auto begins : views)
    base::append_le(rest, begins);
  kv::encode_snapshot(state, kv::Domain::public_maps, rest);
  std::string private_maps;
  kv::encode_snapshot(state, kv::Domain::private_maps, private_maps);
  return encode_snapshot_entry(secret, state.seqno(), rest, private_maps);
}
}
