#include "ledger/signature.h"

#include "ledger/json_text.h"

namespace concordat::ledger
{
namespace
{
constexpr std::size_t max_signature = 1024;
const std::string unused_nonce(64, '0');

/// The value that the table's only key is set to.
Result<std::string_view> only_value(const kv::WriteSet& writes, std::string_view table)
{
  const auto found = writes.find(table);
  if (found == writes.end())
    return fail(ErrorCode::corrupt, "a signature transaction without the table " + std::string(table));
  const auto& map = found->second;
  if (map.size() != 1 || map.begin()->first != single_key || !map.begin()->second)
    return fail(ErrorCode::corrupt, "a signature transaction writes other keys to " + std::string(table));
  return std::string_view(*map.begin()->second);
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
  const bool has_cose = writes.contains(cose_signatures_table);
  if (writes.size() != (has_cose ? 3 : 2))
    return fail(ErrorCode::corrupt, "a signature transaction writes to other tables as well");
  const auto value = only_value(writes, signatures_table);
  if (!value)
    return std::unexpected(value.error());
  const auto tree = only_value(writes, tree_table);
  if (!tree)
    return std::unexpected(tree.error());
  auto record = SignatureRecord::from_json(*value);
  if (!record)
    return fail("the signature record", record.error());
  SignatureTransaction read{std::move(*record), std::string(*tree), std::nullopt};
  if (has_cose)
  {
    const auto json = only_value(writes, cose_signatures_table);
    if (!json)
      return std::unexpected(json.error());
    const auto text = parse_string(*json);
    if (!text)
      return fail("the COSE signature", text.error());
    auto bytes = canonical_base64(*text);
    if (!bytes)
      return fail("the COSE signature", bytes.error());
    read.cose = std::move(*bytes);
  }
  return read;
}
}
