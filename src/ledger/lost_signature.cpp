#include "ledger/lost_signature.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "kv/write_set.h"
#include "ledger/json_text.h"
#include "ledger/merkle.h"
#include "ledger/signature.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
/// Bytes are looked through in windows; a signature transaction that begins in one may end in the overlap.
constexpr std::uint64_t window = std::uint64_t{8} << 20;
constexpr std::uint64_t overlap = std::uint64_t{1} << 20;
/// More of them in one window are somebody's play: each costs verifications.
constexpr std::size_t max_candidates = 1000;

/// Reads the map that stands at the reader: one key set to a value, as in signature transactions.
/// @return false if there is no whole one
bool read_map(base::Reader& reader, kv::WriteSet& writes)
{
  const auto text = [&]() -> std::optional<std::string>
  {
    const auto size = reader.le<std::uint64_t>();
    const auto bytes = size ? reader.take(*size) : std::unexpected(size.error());
    return bytes ? std::optional(std::string(*bytes)) : std::nullopt;
  };
  const auto name = text();
  if (!name || !name->starts_with("public:ccf.internal."))
    return false;
  constexpr std::size_t version_reads_and_count = 24;
  if (!reader.take(version_reads_and_count))
    return false;
  const auto key = text();
  const auto value = text();
  if (!key || !value || !reader.le<std::uint64_t>())
    return false;
  writes[*name][*key] = *value;
  return true;
}

bool signed_by_node(const SignatureRecord& record, const crypto::Certificate& service)
{
  const auto node = crypto::Certificate::from_pem(record.cert);
  return node && node->signed_by(service) && node->public_key().curve() &&
         node->public_key().verify_digest(record.root, record.signature);
}

/// @return the root that these tables sign for the service; nothing if they sign none
std::optional<Digest> signed_root(const kv::WriteSet& tables, const crypto::Certificate& service)
{
  const auto find = [&](std::string_view table) -> std::optional<std::string>
  {
    const auto map = tables.find(table);
    if (map == tables.end())
      return std::nullopt;
    const auto value = map->second.find(single_key);
    return value == map->second.end() ? std::nullopt : value->second;
  };
  const auto record_text = find(signatures_table);
  const auto record = record_text ? SignatureRecord::from_json(*record_text) : fail(ErrorCode::not_found, "");
  if (record && signed_by_node(*record, service))
    return record->root;
  const auto json = find(cose_signatures_table);
  const auto base64 = json ? parse_string(*json) : fail(ErrorCode::not_found, "");
  const auto cose = base64 ? canonical_base64(*base64) : std::unexpected(base64.error());
  if (!cose)
    return std::nullopt;
  const auto signs = [&](const Digest& root)
  { return crypto::cose_verify_root(*cose, service.public_key(), root).has_value(); };
  if (record && signs(record->root))
    return record->root;
  const auto tree_text = find(tree_table);
  const auto tree = tree_text ? MerkleTree::deserialise(*tree_text) : fail(ErrorCode::not_found, "");
  return tree && signs(tree->root()) ? std::optional(tree->root()) : std::nullopt;
}

Remains judge(std::string_view bytes, const crypto::Certificate& service, const Digest& root)
{
  base::Reader reader(bytes);
  kv::WriteSet tables;
  while (!tables.contains(tree_table) && tables.size() < 3 && read_map(reader, tables))
    ;
  const auto found = signed_root(tables, service);
  if (!found)
    return Remains::nothing_signed;
  return *found != root || tables.contains(tree_table) ? Remains::signature_beyond : Remains::torn_signature;
}
}

Result<Remains> look_for_signature(
    const base::File& file, std::uint64_t from, std::uint64_t to, const crypto::Certificate& service,
    const Digest& root)
{
  auto worst = Remains::nothing_signed;
  for (auto at = from; at < to; at += window)
  {
    const auto bytes = file.read_at(at, static_cast<std::size_t>(std::min(window + overlap, to - at)));
    if (!bytes)
      return std::unexpected(bytes.error());
    std::size_t candidates = 0;
    for (const auto table : {cose_signatures_table, signatures_table})
    {
      std::string first_map;
      base::append_lp(first_map, table);
      for (auto found = bytes->find(first_map); found != std::string::npos && candidates < max_candidates;
           found = bytes->find(first_map, found + 1), ++candidates)
        worst = std::max(worst, judge(std::string_view(*bytes).substr(found), service, root));
      if (worst == Remains::signature_beyond || candidates == max_candidates)
        return Remains::signature_beyond;
    }
  }
  return worst;
}
}
