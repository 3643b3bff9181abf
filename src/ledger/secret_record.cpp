#include "ledger/secret_record.h"

#include "base/check.h"
#include "base/encoding.h"
#include "ledger/json_text.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::size_t max_sealed_text = 1024;

std::unexpected<Error> corrupt(std::string message)
{
  return fail(ErrorCode::corrupt, std::move(message));
}

/// Without additional data, tag and IV in front (ledger-format.md §10.3).
std::string seal(const LedgerSecret& key, std::string text)
{
  const auto random = crypto::random_bytes(std::tuple_size_v<crypto::Iv>);
  crypto::Iv iv;
  std::ranges::copy(random, iv.begin());
  const auto tag = key.aead().seal(iv, {}, text.data(), text.size());
  std::string sealed(tag.begin(), tag.end());
  return sealed.append(random).append(text);
}

Result<std::string> open(const LedgerSecret& key, std::string_view sealed)
{
  crypto::Tag tag;
  crypto::Iv iv;
  if (sealed.size() < tag.size() + iv.size())
    return corrupt("a sealed secret of " + std::to_string(sealed.size()) + " bytes is too short to be one");
  std::ranges::copy(sealed.substr(0, tag.size()), tag.begin());
  std::ranges::copy(sealed.substr(tag.size(), iv.size()), iv.begin());
  return key.aead().open(iv, {}, sealed.substr(tag.size() + iv.size()), tag);
}
}

SecretRecord SecretRecord::of_change(const LedgerSecrets& secrets, Seqno first, std::optional<Seqno> previous_write)
{
  CHECK(first > 1 && secrets.since(first) == first, "a secret is recorded by the first entry that lies under it");
  return {seal(secrets.at(first), secrets.at(first - 1).raw()), secrets.since(first - 1), previous_write, first};
}

SecretRecord SecretRecord::of_first()
{
  return {{}, 0, std::nullopt, 1};
}

std::string SecretRecord::to_json() const
{
  boost::json::object record;
  if (next_first)
    record["next_version"] = *next_first;
  if (!sealed_previous.empty())
  {
    boost::json::object previous{{"encrypted_data", base::to_base64(sealed_previous)}};
    if (previous_write)
      previous["previous_secret_stored_version"] = *previous_write;
    previous["version"] = previous_first;
    record["previous_ledger_secret"] = std::move(previous);
  }
  return boost::json::serialize(record);
}

Result<SecretRecord> SecretRecord::from_json(std::string_view text)
{
  const auto object = parse_object(text);
  if (!object)
    return std::unexpected(object.error());
  SecretRecord record;
  FieldReader fields(*object);
  if (fields.has("next_version"))
    record.next_first = fields.number("next_version");
  if (auto good = fields.result(); !good)
    return std::unexpected(good.error());
  const auto* const previous = object->if_contains("previous_ledger_secret");
  if (!previous)
    return record;
  if (!previous->is_object())
    return corrupt("'previous_ledger_secret' is no object");
  FieldReader inner(previous->get_object());
  record.sealed_previous = inner.base64("encrypted_data", max_sealed_text);
  record.previous_first = inner.number("version");
  if (inner.has("previous_secret_stored_version"))
    record.previous_write = inner.number("previous_secret_stored_version");
  if (auto good = inner.result(); !good)
    return std::unexpected(good.error());
  return record;
}

Result<void>
SecretRecord::check(const LedgerSecret& before, Seqno before_since, const LedgerSecret& now, Seqno first) const
{
  if (next_first != first)
    return corrupt("the record of a new ledger secret does not name its own entry");
  if (previous_first != before_since)
    return corrupt(
        "the record of a new ledger secret says that the one before began at " + std::to_string(previous_first) +
        ", not at " + std::to_string(before_since));
  auto opened = open(now, sealed_previous);
  if (!opened)
    return fail("the sealed previous ledger secret", opened.error());
  const bool same = *opened == before.raw();
  crypto::wipe(*opened);
  if (!same)
    return corrupt("the record of a new ledger secret seals another one than the one before");
  return {};
}
}
