#include "ledger/signature.h"

#include "ledger/json_text.h"

namespace concordat::ledger
{
namespace
{
constexpr std::size_t max_signature = 1024;
const std::string unused_nonce(64, '0');

/// The value of the key that every table of a signature transaction has.
Result<std::string_view> value_in(const kv::MapWrites& map, std::string_view table)
{
  const auto found = map.find(single_key);
  if (found == map.end() || !found->second)
    return fail(ErrorCode::corrupt, "a signature transaction without the one key of " + std::string(table));
  return std::string_view(*found->second);
}

Result<std::string_view> only_value(const kv::WriteSet& writes, std::string_view table)
{
  const auto found = writes.find(table);
  if (found == writes.end())
    return fail(ErrorCode::corrupt, "a signature transaction without the table " + std::string(table));
  if (found->second.size() != 1)
    return fail(ErrorCode::corrupt, "a signature transaction writes other keys to " + std::string(table));
  return value_in(found->second, table);
}

/// Keys of the table beside the one are other kinds of signing keys of the service: numbers of 64 bits.
Result<void> read_cose(const kv::MapWrites& map, SignatureTransaction& read)
{
  for (const auto& [key, value] : map)
    if (key.size() != single_key.size() || !value)
      return fail(
          ErrorCode::corrupt, "a signature transaction writes other keys to " + std::string(cose_signatures_table));
  const auto json = value_in(map, cose_signatures_table);
  if (!json)
    return std::unexpected(json.error());
  const auto text = parse_string(*json);
  if (!text)
    return fail("the COSE signature", text.error());
  auto bytes = canonical_base64(*text);
  if (!bytes)
    return fail("the COSE signature", bytes.error());
  read.cose = std::move(*bytes);
  read.has_unknown_signatures = map.size() > 1;
  return {};
}
}

Result<SignatureRecord> SignatureRecord::from_json(std::string_view text)
{
  const auto object = parse_object(text);
  if (!object)
    return std::unexpected(object.error());
  FieldReader fields(*object);
  SignatureRecord record;
  record.node = fields.text("node", 64);
  record.cert = fields.optional_text("cert", max_cert).value_or("");
  record.root = fields.digest("root");
  record.signature = fields.base64("sig", max_signature);
  record.txid = {fields.number("view"), fields.number("seqno")};
  const auto commit_seqno = fields.number("commit_seqno");
  const auto commit_view = fields.number("commit_view");
  record.deprecated_fields_unused =
      fields.text("hashed_nonce", 64) == unused_nonce && commit_seqno == 0 && commit_view == 0;
  if (auto good = fields.result(); !good)
    return std::unexpected(good.error());
  return record;
}

Result<SignatureTransaction> read_signature(const kv::WriteSet& writes)
{
  const auto cose = writes.find(cose_signatures_table);
  const bool has_record = writes.contains(signatures_table);
  const bool has_cose = cose != writes.end();
  if (!has_record && !has_cose)
    return fail(ErrorCode::corrupt, "a signature transaction without a signature");
  if (writes.size() != 1U + (has_record ? 1 : 0) + (has_cose ? 1 : 0))
    return fail(ErrorCode::corrupt, "a signature transaction writes to other tables as well");
  SignatureTransaction read;
  const auto tree = only_value(writes, tree_table);
  if (!tree)
    return std::unexpected(tree.error());
  read.tree = *tree;
  if (has_record)
  {
    const auto value = only_value(writes, signatures_table);
    if (!value)
      return std::unexpected(value.error());
    auto record = SignatureRecord::from_json(*value);
    if (!record)
      return fail("the signature record", record.error());
    read.record = std::move(*record);
  }
  if (has_cose)
    if (auto good = read_cose(cose->second, read); !good)
      return std::unexpected(good.error());
  return read;
}
}
