#include "node/identity.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "node/json.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
constexpr std::string_view identity_purpose = "identity";
constexpr std::string_view consensus_purpose = "consensus";
constexpr std::string_view identity_file = "identity.sealed";
constexpr std::string_view consensus_file = "consensus.sealed";

std::unexpected<Error> unusable(const base::Path& path)
{
  return fail(ErrorCode::corrupt, "'" + path + "' was sealed by another release, or is damaged");
}
}

Identity Identity::generate(crypto::Curve curve)
{
  auto encryption = crypto::generate_rsa();
  return {crypto::KeyPair::generate(curve), crypto::KeyPair::generate(curve), std::move(encryption.private_pem),
          std::move(encryption.public_pem), ledger::LedgerSecret::generate(), false};
}

SealedState::SealedState(base::FileSystem& files, attestation::SealedFiles& sealed, base::Path directory)
    : files_(files),
      sealed_(sealed),
      directory_(std::move(directory))
{
}

bool SealedState::has_identity() const
{
  return files_.exists(base::join(directory_, identity_file));
}

Result<void> SealedState::save_identity(const Identity& identity)
{
  if (auto made = files_.make_directory(directory_); !made)
    return made;
  boost::json::object content{
      {"encryption_private_key", identity.encryption_private_key_pem},
      {"encryption_public_key", identity.encryption_public_key_pem},
      {"ledger_secret", base::to_hex(identity.ledger_secret.raw())},
      {"node_key", identity.node_key.private_pem()},
      {"service_created", identity.service_created},
      {"service_key", identity.service_key.private_pem()}};
  auto text = boost::json::serialize(content);
  auto written = sealed_.write(base::join(directory_, identity_file), identity_purpose, text);
  crypto::wipe(text);
  return written;
}

Result<Identity> SealedState::load_identity() const
{
  const auto path = base::join(directory_, identity_file);
  auto text = sealed_.read(path, identity_purpose);
  if (!text)
    return std::unexpected(text.error());
  const auto content = parse_json(*text);
  crypto::wipe(*text);
  const auto* const object = content ? content->if_object() : nullptr;
  if (!object)
    return unusable(path);
  const auto node_key = crypto::KeyPair::from_pem(string_member(*object, "node_key"));
  const auto service_key = crypto::KeyPair::from_pem(string_member(*object, "service_key"));
  const auto secret = base::from_hex(string_member(*object, "ledger_secret"));
  const auto* const created = object->if_contains("service_created");
  if (!node_key || !service_key || !secret || secret->size() != 32 || !created || !created->is_bool())
    return unusable(path);
  return Identity{
      *node_key,
      *service_key,
      string_member(*object, "encryption_private_key"),
      string_member(*object, "encryption_public_key"),
      ledger::LedgerSecret(*secret),
      created->get_bool()};
}

Result<void> SealedState::save(const consensus::DurableState& state)
{
  std::string bytes;
  base::append_le(bytes, state.term);
  base::append_le(bytes, state.vote);
  base::append_le(bytes, state.opened_term);
  base::append_le(bytes, state.opened_index);
  return sealed_.write(base::join(directory_, consensus_file), consensus_purpose, bytes);
}

Result<consensus::DurableState> SealedState::load() const
{
  const auto path = base::join(directory_, consensus_file);
  if (!files_.exists(path))
    return consensus::DurableState{};
  const auto bytes = sealed_.read(path, consensus_purpose);
  if (!bytes)
    return std::unexpected(bytes.error());
  base::Reader reader(*bytes);
  const auto term = reader.le<View>();
  const auto vote = reader.le<consensus::EngineId>();
  const auto opened_term = reader.le<View>();
  const auto opened_index = reader.le<consensus::Index>();
  if (!term || !vote || !opened_term || !opened_index || !reader.done())
    return unusable(path);
  return consensus::DurableState{*term, *vote, *opened_term, *opened_index};
}
}
