#include "node/callers.h"

#include "crypto/certificate.h"
#include "node/json.h"
#include "node/tables.h"

#include <absl/container/inlined_vector.h>
#include <boost/json.hpp>

#include <span>

namespace concordat::node
{
namespace
{
/// The tables that a policy reads: one that says who is known, one that says what is known of them.
struct PolicyTables
{
  std::string_view known;
  std::string_view info;
};

std::optional<PolicyTables> tables_of(AuthPolicy policy)
{
  switch (policy)
  {
  case AuthPolicy::member_cert:
    return PolicyTables{tables::member_certs, tables::member_info};
  case AuthPolicy::user_cert:
    return PolicyTables{tables::user_certs, tables::user_info};
  case AuthPolicy::node_cert:
    return PolicyTables{tables::node_info, tables::node_info};
  case AuthPolicy::any_cert:
  case AuthPolicy::no_auth:
    break;
  }
  return std::nullopt;
}

std::vector<Seqno> versions_of(const std::vector<AuthPolicy>& policies, const kv::State& state)
{
  std::vector<Seqno> versions;
  versions.reserve(2 * policies.size());
  for (const auto policy : policies)
    if (const auto read = tables_of(policy))
      for (const auto table : {read->known, read->info})
      {
        const auto* const map = state.find(table);
        versions.push_back(map ? map->version : 0);
      }
  return versions;
}
}

std::string_view policy_name(AuthPolicy policy)
{
  switch (policy)
  {
  case AuthPolicy::user_cert:
    return "user_cert";
  case AuthPolicy::member_cert:
    return "member_cert";
  case AuthPolicy::any_cert:
    return "any_cert";
  case AuthPolicy::node_cert:
    return "node_cert";
  case AuthPolicy::no_auth:
    break;
  }
  return "no_auth";
}

Client::Client(std::string_view certificate_der) : given_(!certificate_der.empty())
{
  const auto parsed = crypto::Certificate::from_der(certificate_der);
  if (!parsed)
    return;
  readable_ = true;
  id_ = parsed->id();
  key_id_ = parsed->public_key().id();
  not_before_ = parsed->not_before();
  not_after_ = parsed->not_after();
}

bool Client::valid_at(std::int64_t unix_seconds) const
{
  return not_before_ <= unix_seconds && unix_seconds <= not_after_;
}

/// The caller with the member `name` of their record, which is parsed again only when it is another one.
Caller Client::with_data(AuthPolicy policy, ReadTransaction& state, std::string_view table, std::string_view name)
{
  const auto text = state.get(table, id_);
  if (!text)
    return Caller{policy, id_, nullptr};
  if (record_.policy != policy || record_.text != *text)
  {
    const auto value = parse_json(*text);
    const auto* const object = value ? value->if_object() : nullptr;
    const auto* const data = object ? object->if_contains(name) : nullptr;
    record_ = {policy, std::string(*text), data ? *data : boost::json::value()};
  }
  return Caller{policy, id_, record_.data};
}

/// The caller if the policy passes, else why it does not.
std::expected<Caller, std::string_view>
Client::attempt(AuthPolicy policy, ReadTransaction& state, std::int64_t unix_seconds)
{
  if (policy == AuthPolicy::no_auth)
    return Caller{};
  if (!given_)
    return std::unexpected("No caller certificate was given");
  if (!readable_)
    return std::unexpected("The caller certificate cannot be read");

  switch (policy)
  {
  case AuthPolicy::member_cert:
    // Its validity is not looked at (http-api.md §3.1): members hold keys, the ledger says which.
    if (!state.has(tables::member_certs, id_))
      return std::unexpected("The caller is not a known member");
    return with_data(policy, state, tables::member_info, "member_data");
  case AuthPolicy::user_cert:
    if (!state.has(tables::user_certs, id_))
      return std::unexpected("The caller is not a known user");
    if (!valid_at(unix_seconds))
      return std::unexpected("The caller's certificate is not valid now");
    return with_data(policy, state, tables::user_info, "user_data");
  case AuthPolicy::any_cert:
    if (!valid_at(unix_seconds))
      return std::unexpected("The caller's certificate is not valid now");
    return Caller{policy, "", nullptr};
  case AuthPolicy::node_cert:
    if (!state.has(tables::node_info, key_id_))
      return std::unexpected("The caller is not a known node");
    return Caller{policy, key_id_, nullptr};
  case AuthPolicy::no_auth:
    break;
  }
  return Caller{};
}

std::optional<Caller> Client::authenticate(
    const std::vector<AuthPolicy>& policies, ReadTransaction& state, std::int64_t unix_seconds,
    boost::json::array& details)
{
  if (policies.empty())
    return Caller{};
  absl::InlinedVector<std::string_view, 4> reasons;
  {
    const base::LockGuard lock(mutex_);
    for (const auto policy : policies)
    {
      auto outcome = attempt(policy, state, unix_seconds);
      if (outcome)
        return std::move(*outcome);
      reasons.push_back(outcome.error());
    }
  }
  for (std::size_t i = 0; i < policies.size(); ++i)
    details.push_back(boost::json::object{
        {"auth_policy", policy_name(policies[i])}, {"code", "InvalidAuthenticationInfo"}, {"message", reasons[i]}});
  return std::nullopt;
}

std::optional<Caller> Client::authenticate(
    const std::vector<AuthPolicy>& policies, const kv::Snapshot& committed, std::int64_t unix_seconds,
    boost::json::array& details)
{
  if (policies.empty())
    return Caller{};
  const bool valid = valid_at(unix_seconds);
  std::vector<Seqno> versions;
  {
    const base::LockGuard lock(mutex_);
    const bool same = login_ && login_->certificate_valid == valid && login_->policies == policies;
    if (same && login_->as_of == committed->txid())
      return login_->caller;
    versions = versions_of(policies, *committed);
    if (same && login_->versions == versions)
    {
      login_->as_of = committed->txid();
      return login_->caller;
    }
  }
  kv::SnapshotTransaction state(committed);
  auto caller = authenticate(policies, state, unix_seconds, details);
  if (caller)
  {
    const base::LockGuard lock(mutex_);
    login_ = Login{committed->txid(), policies, std::move(versions), valid, *caller};
  }
  return caller;
}

bool is_known_caller(std::string_view certificate_der, const kv::Snapshot& committed)
{
  const auto certificate = crypto::Certificate::from_der(certificate_der);
  if (!certificate)
    return false;
  kv::SnapshotTransaction state(committed);
  const auto id = certificate->id();
  return state.has(tables::member_certs, id) || state.has(tables::user_certs, id) ||
         state.has(tables::node_info, certificate->public_key().id());
}

namespace
{
std::optional<Party> find_party(
    ReadTransaction& state, std::string_view certificates, std::string_view records, std::string_view data_name,
    std::string_view id)
{
  const auto certificate = state.get(certificates, id);
  if (!certificate)
    return std::nullopt;
  Party party{std::string(*certificate), nullptr};
  const auto record = read_object(state, records, id);
  if (const auto* const data = record ? record->if_contains(data_name) : nullptr)
    party.data = *data;
  return party;
}
}

std::optional<Party> find_member(ReadTransaction& state, std::string_view id)
{
  return find_party(state, tables::member_certs, tables::member_info, "member_data", id);
}

std::optional<Party> find_user(ReadTransaction& state, std::string_view id)
{
  return find_party(state, tables::user_certs, tables::user_info, "user_data", id);
}

std::shared_ptr<Client> client_of(http::Session& session)
{
  if (!session.handler_data)
    session.handler_data = std::make_shared<Client>(session.client_certificate);
  return std::static_pointer_cast<Client>(session.handler_data);
}
}
