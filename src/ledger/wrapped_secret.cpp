#include "ledger/wrapped_secret.h"

#include "base/encoding.h"
#include "ledger/json_text.h"

#include <boost/json.hpp>

namespace concordat::ledger
{
namespace json = boost::json;

namespace
{
constexpr std::size_t max_value = std::size_t{16} << 20;
/// Of the largest RSA key that is accepted.
constexpr std::size_t max_wrapped_text = 4096;

std::unexpected<Error> corrupt(std::string what)
{
  return fail(ErrorCode::corrupt, "the wrapped ledger secrets: " + std::move(what));
}

/// Whether the element is of a secret in force from `first` on. One without a number is of the entry after it.
bool is_of(const json::object& element, Seqno first)
{
  const auto* const version = element.if_contains("version");
  return version &&
         ((version->is_int64() && version->get_int64() >= 0 && static_cast<Seqno>(version->get_int64()) == first) ||
          (version->is_uint64() && version->get_uint64() == first));
}
}

Result<std::string>
wrap_secret(const LedgerSecret& secret, Seqno first, const std::map<std::string, crypto::PublicKey>& nodes)
{
  json::object all;
  for (const auto& [node, key] : nodes)
  {
    const auto wrapped = crypto::wrap(key, secret.raw());
    if (!wrapped)
      return fail("the ledger secret cannot be wrapped for node " + node, wrapped.error());
    all[node] = json::array{json::object{{"encrypted_secret", base::to_base64(*wrapped)}, {"version", first}}};
  }
  return json::serialize(all);
}

Result<std::optional<LedgerSecret>> unwrap_secret(std::string_view value, Seqno first, const SecretReceiver& receiver)
{
  if (value.size() > max_value)
    return corrupt("larger than " + std::to_string(max_value) + " bytes");
  const auto all = parse_object(value);
  if (!all)
    return corrupt(all.error().message);
  const auto* const own = all->if_contains(receiver.node_id);
  if (!own)
    return std::nullopt;
  if (!own->is_array())
    return corrupt("what is for a node is no list");
  for (const auto& item : own->get_array())
  {
    const auto* const element = item.if_object();
    if (!element)
      return corrupt("an element is no object");
    if (!is_of(*element, first))
      continue;
    FieldReader fields(*element);
    const auto wrapped = fields.base64("encrypted_secret", max_wrapped_text);
    if (auto good = fields.result(); !good)
      return std::unexpected(good.error());
    auto raw = receiver.key.unwrap(wrapped);
    if (!raw)
      return fail("the ledger secret that is wrapped for this node", raw.error());
    const bool right = raw->size() == LedgerSecret::size;
    std::optional<LedgerSecret> secret;
    if (right)
      secret.emplace(*raw);
    crypto::wipe(*raw);
    if (!right)
      return corrupt("what is wrapped for this node is not 32 bytes");
    return secret;
  }
  return std::nullopt;
}
}
