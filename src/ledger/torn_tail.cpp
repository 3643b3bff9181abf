#include "ledger/torn_tail.h"

#include "base/encoding.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"

namespace concordat::ledger
{
namespace
{
/// Entry header, tag, IV, length of the public domain; then type, version, two digests, max conflict version (§2,
/// §4.1).
constexpr std::size_t before_first_map = entry_header_size + 16 + 12 + 8 + 1 + 8 + 32 + 32 + 8;
}

std::optional<Seqno> committed_before(const Entry& entry, const LedgerSecrets& secrets)
{
  kv::WriteSet writes;
  if (!kv::decode(entry.public_maps, kv::Domain::public_maps, writes))
    return std::nullopt;
  const auto committed = committed_before(writes);
  return committed && entry.open(secrets.at(entry.txid.seqno)) ? committed : std::nullopt;
}

std::optional<Seqno> committed_before(const kv::WriteSet& writes)
{
  const auto table = writes.find(tree_table);
  if (table == writes.end())
    return std::nullopt;
  const auto value = table->second.find(single_key);
  if (value == table->second.end() || !value->second)
    return std::nullopt;
  const auto tree = MerkleTree::deserialise(*value->second);
  return tree ? std::optional<Seqno>(tree->first_kept()) : std::nullopt;
}

bool acknowledged_after(std::string_view tail, Seqno broken, const LedgerSecrets& secrets)
{
  std::string first_map;
  base::append_lp(first_map, cose_signatures_table);
  for (auto at = tail.find(first_map); at != std::string_view::npos; at = tail.find(first_map, at + 1))
  {
    if (at < before_first_map)
      continue;
    const auto entry = parse_entry(tail.substr(at - before_first_map));
    if (!entry || entry->txid.seqno <= broken)
      continue;
    const auto committed = committed_before(*entry, secrets);
    if (committed && *committed >= broken)
      return true;
  }
  return false;
}
}
