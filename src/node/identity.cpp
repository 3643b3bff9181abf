#include "node/identity.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace concordat::node
{
namespace
{
constexpr std::string_view identity_purpose = "identity";
constexpr std::string_view consensus_purpose = "consensus";
constexpr std::string_view keys_purpose = "joining";
constexpr std::string_view keys_file = "joining.sealed";
constexpr std::string_view identity_file = "identity.sealed";
constexpr std::string_view consensus_file = "consensus.sealed";

/// Without a version: one secret under `ledger_secret`, written by the first release.
constexpr std::int64_t identity_version = 2;
/// Of a node that has joined: a release that knows no other nodes would go on alone.
constexpr std::int64_t joined_version = 3;
constexpr std::int64_t keys_version = 1;
/// Without a version, 32 bytes: no mark, written by the first release.
constexpr std::uint64_t consensus_version = 2;
constexpr std::uint64_t several_version = 3;  ///< of one of several nodes
constexpr std::uint64_t returned_version = 4; ///< of one that has come back: its number follows the mark
constexpr std::size_t size_without_mark = 32;

std::unexpected<Error> unusable(const base::Path& path)
{
  return fail(ErrorCode::corrupt, "'" + path + "' was sealed by another release, or is damaged");
}

/// @return null unless they are what `LedgerSecrets::from_raw` takes, in hex
std::shared_ptr<ledger::LedgerSecrets> read_secrets(const boost::json::object& content)
{
  std::vector<std::pair<Seqno, std::string>> raw;
  const auto add = [&](Seqno first, std::string hex)
  {
    auto bytes = base::from_hex(hex);
    crypto::wipe(hex);
    raw.emplace_back(first, bytes ? std::move(*bytes) : std::string());
  };
  const auto* const version = content.if_contains("version");
  const auto* const list = content.if_contains("ledger_secrets");
  if (!version)
    add(1, string_member(content, "ledger_secret"));
  else if ((*version == identity_version || *version == joined_version) && list && list->is_array())
    for (const auto& item : list->get_array())
    {
      const auto* const period = item.if_object();
      const auto* const first = period ? period->if_contains("first_seqno") : nullptr;
      const bool is_number = first && first->is_int64() && first->get_int64() >= 0;
      add(is_number ? static_cast<Seqno>(first->get_int64()) : 0, period ? string_member(*period, "secret") : "");
    }
  return ledger::LedgerSecrets::from_raw(std::move(raw));
}

/// What says that the node has joined goes with the version that says so.
/// @return whether it does
bool read_joined(const boost::json::object& content, std::optional<JoinedService>& out)
{
  const auto* const version = content.if_contains("version");
  const auto* const joined = content.if_contains("joined");
  if (!version || *version != joined_version)
    return joined == nullptr;
  const auto* const service = joined ? joined->if_object() : nullptr;
  if (!service)
    return false;
  out = JoinedService{string_member(*service, "cose_issuer"), string_member(*service, "cose_subject")};
  return true;
}
}

NodeKeys NodeKeys::generate(crypto::Curve curve)
{
  auto encryption = crypto::generate_rsa();
  return {crypto::KeyPair::generate(curve), std::move(encryption.private_pem), std::move(encryption.public_pem)};
}

Identity Identity::generate(crypto::Curve curve)
{
  auto keys = NodeKeys::generate(curve);
  return {
      std::move(keys.node_key),
      crypto::KeyPair::generate(curve),
      std::move(keys.encryption_private_key_pem),
      std::move(keys.encryption_public_key_pem),
      std::make_shared<ledger::LedgerSecrets>(ledger::LedgerSecret::generate()),
      false};
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
  boost::json::array secrets;
  for (const auto& [first, secret] : identity.ledger_secrets->periods())
    secrets.push_back(boost::json::object{{"first_seqno", first}, {"secret", base::to_hex(secret->raw())}});
  boost::json::object content{
      {"encryption_private_key", identity.encryption_private_key_pem},
      {"encryption_public_key", identity.encryption_public_key_pem},
      {"ledger_secrets", std::move(secrets)},
      {"node_key", identity.node_key.private_pem()},
      {"service_created", identity.service_created},
      {"service_key", identity.service_key.private_pem()},
      {"version", identity.joined ? joined_version : identity_version}};
  if (identity.joined)
    content["joined"] = boost::json::object{
        {"cose_issuer", identity.joined->cose_issuer}, {"cose_subject", identity.joined->cose_subject}};
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
  auto secrets = read_secrets(*object);
  const auto* const created = object->if_contains("service_created");
  if (!node_key || !service_key || !secrets || !created || !created->is_bool())
    return unusable(path);
  std::optional<JoinedService> joined;
  if (!read_joined(*object, joined))
    return unusable(path);
  return Identity{
      *node_key,
      *service_key,
      string_member(*object, "encryption_private_key"),
      string_member(*object, "encryption_public_key"),
      std::move(secrets),
      created->get_bool(),
      std::move(joined)};
}

bool SealedState::has_keys() const
{
  return files_.exists(base::join(directory_, keys_file));
}

Result<void> SealedState::save_keys(const NodeKeys& keys)
{
  if (auto made = files_.make_directory(directory_); !made)
    return made;
  auto text = boost::json::serialize(boost::json::object{
      {"encryption_private_key", keys.encryption_private_key_pem},
      {"encryption_public_key", keys.encryption_public_key_pem},
      {"node_key", keys.node_key.private_pem()},
      {"version", keys_version}});
  auto written = sealed_.write(base::join(directory_, keys_file), keys_purpose, text);
  crypto::wipe(text);
  return written;
}

Result<NodeKeys> SealedState::load_keys() const
{
  const auto path = base::join(directory_, keys_file);
  auto text = sealed_.read(path, keys_purpose);
  if (!text)
    return std::unexpected(text.error());
  const auto content = parse_json(*text);
  crypto::wipe(*text);
  const auto* const object = content ? content->if_object() : nullptr;
  const auto* const version = object ? object->if_contains("version") : nullptr;
  if (!version || *version != keys_version)
    return unusable(path);
  const auto node_key = crypto::KeyPair::from_pem(string_member(*object, "node_key"));
  if (!node_key)
    return unusable(path);
  return NodeKeys{
      *node_key, string_member(*object, "encryption_private_key"), string_member(*object, "encryption_public_key")};
}

Result<void> SealedState::remove_keys()
{
  if (!has_keys())
    return {};
  if (auto removed = files_.remove(base::join(directory_, keys_file)); !removed)
    return removed;
  return files_.sync_directory(directory_);
}

Result<void> SealedState::save(const consensus::DurableState& state)
{
  std::string bytes;
  CHECK(state.engine_id == 0 || state.several, "a node that is alone keeps the number that the ledger gives it");
  base::append_le(bytes, state.engine_id != 0 ? returned_version : state.several ? several_version : consensus_version);
  base::append_le(bytes, state.term);
  base::append_le(bytes, state.vote);
  const auto last = state.last_opened();
  base::append_le(bytes, last.term);
  base::append_le(bytes, last.index);
  base::append_le(bytes, state.mark.txid.view);
  base::append_le(bytes, state.mark.txid.seqno);
  bytes.append(base::as_view(state.mark.root));
  if (state.engine_id != 0)
    base::append_le(bytes, state.engine_id);
  for (std::size_t i = 0; i + 1 < state.opened.size(); ++i)
  {
    base::append_le(bytes, state.opened[i].term);
    base::append_le(bytes, state.opened[i].index);
  }
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
  const bool marked = bytes->size() != size_without_mark;
  const auto version = marked ? reader.le<std::uint64_t>() : consensus_version;
  if (version != consensus_version && version != several_version && version != returned_version)
    return unusable(path);
  const auto term = reader.le<View>();
  const auto vote = reader.le<consensus::EngineId>();
  const auto opened_term = reader.le<View>();
  const auto opened_index = reader.le<consensus::Index>();
  if (!term || !vote || !opened_term || !opened_index)
    return unusable(path);
  consensus::DurableState state{*term, *vote, {}, {}, version != consensus_version};
  if (marked)
  {
    const auto view = reader.le<View>();
    const auto seqno = reader.le<Seqno>();
    const auto root = reader.take(state.mark.root.size());
    if (!view || !seqno || !root)
      return unusable(path);
    state.mark.txid = {*view, *seqno};
    std::ranges::copy(*root, state.mark.root.begin());
  }
  if (version == returned_version)
  {
    const auto id = reader.le<consensus::EngineId>();
    if (!id || *id == 0)
      return unusable(path);
    state.engine_id = *id;
  }
  while (!reader.done())
  {
    const auto earlier = reader.le<View>();
    const auto at = reader.le<consensus::Index>();
    if (!marked || !earlier || !at)
      return unusable(path);
    state.opened.push_back({*earlier, *at});
  }
  if (*opened_term != 0)
    state.opened.push_back({*opened_term, *opened_index});
  return state;
}
}
