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

bool is_later_signature(std::string_view bytes, Seqno broken)
{
  const auto entry = parse_entry(bytes);
  kv::WriteSet writes;
  if (!entry || entry->txid.seqno <= broken || !kv::decode(entry->public_maps, kv::Domain::public_maps, writes))
    return false;
  const auto table = writes.find(tree_table);
  if (table == writes.end())
    return false;
  const auto value = table->second.find(single_key);
  if (value == table->second.end() || !value->second)
    return false;
  const auto tree = MerkleTree::deserialise(*value->second);
  return tree && tree->first_kept() >= broken;
}
}

bool acknowledged_after(std::string_view tail, Seqno broken)
{
  std::string first_map;
  base::append_lp(first_map, cose_signatures_table);
  for (auto at = tail.find(first_map); at != std::string_view::npos; at = tail.find(first_map, at + 1))
    if (at >= before_first_map && is_later_signature(tail.substr(at - before_first_map), broken))
      return true;
  return false;
}
}
