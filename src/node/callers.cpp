#include "node/callers.h"

#include "crypto/certificate.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
/// What is known of a connection's client: read once, as most requests of a connection are alike.
struct Client
{
  bool readable = false; ///< the certificate could be parsed
  std::string id;
  std::string key_id;
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
  /// The record that `data` was taken from, by its version in the table of the policy that passed.
  AuthPolicy data_policy = AuthPolicy::no_auth;
  std::optional<Seqno> data_version;
  boost::json::value data;
  /// The policy that passed, of those at `passed_of`, in the committed state of this seqno.
  AuthPolicy passed = AuthPolicy::no_auth;
  const std::vector<AuthPolicy>* passed_of = nullptr;
  Seqno passed_at = 0;

  bool valid_at(std::int64_t unix_seconds) const
  {
    return not_before <= unix_seconds && unix_seconds <= not_after;
  }
};

Client& client_of(http::Session& session)
{
  if (!session.handler_data)
  {
    auto client = std::make_shared<Client>();
    if (const auto parsed = crypto::Certificate::from_der(session.client_certificate))
    {
      client->readable = true;
      client->id = parsed->id();
      client->key_id = parsed->public_key().id();
      client->not_before = parsed->not_before();
      client->not_after = parsed->not_after();
    }
    session.handler_data = std::move(client);
  }
  return *static_cast<Client*>(session.handler_data.get());
}

/// The caller with the member `name` of his record, which is parsed again only after it has changed.
Caller caller_with_data(
    Client& client, AuthPolicy policy, ReadTransaction& state, std::string_view table, std::string_view name)
{
  const auto version = state.version(table, client.id);
  if (client.data_policy != policy || client.data_version != version || !version)
  {
    const auto record = read_object(state, table, client.id);
    const auto* const data = record ? record->if_contains(name) : nullptr;
    client.data = data ? *data : boost::json::value();
    client.data_policy = policy;
    client.data_version = version;
  }
  return Caller{policy, client.id, client.data};
}

/// The caller if the policy passes, else why it does not.
std::expected<Caller, std::string>
try_policy(AuthPolicy policy, http::Session& session, ReadTransaction& state, std::int64_t unix_seconds)
{
  if (policy == AuthPolicy::no_auth)
    return Caller{};
  if (session.client_certificate.empty())
    return std::unexpected("No caller certificate was given");
  auto& client = client_of(session);
  if (!client.readable)
    return std::unexpected("The caller certificate cannot be read");

  switch (policy)
  {
  case AuthPolicy::member_cert:
    if (!state.has(tables::member_certs, client.id))
      return std::unexpected("The caller is not a known member");
    return caller_with_data(client, policy, state, tables::member_info, "member_data");
  case AuthPolicy::user_cert:
    if (!state.has(tables::user_certs, client.id))
      return std::unexpected("The caller is not a known user");
    if (!client.valid_at(unix_seconds))
      return std::unexpected("The caller's certificate is not valid now");
    return caller_with_data(client, policy, state, tables::user_info, "user_data");
  case AuthPolicy::any_cert:
    if (!client.valid_at(unix_seconds))
      return std::unexpected("The caller's certificate is not valid now");
    return Caller{policy, "", nullptr};
  case AuthPolicy::node_cert:
    if (!state.has(tables::node_info, client.key_id))
      return std::unexpected("The caller is not a known node");
    return Caller{policy, client.key_id, nullptr};
  case AuthPolicy::no_auth:
    break;
  }
  return Caller{};
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

std::optional<Caller> authenticate(
    const std::vector<AuthPolicy>& policies, http::Session& session, ReadTransaction& state,
    std::optional<Seqno> committed, std::int64_t unix_seconds, boost::json::array& details)
{
  if (policies.empty())
    return Caller{};
  auto* const client = session.client_certificate.empty() ? nullptr : &client_of(session);
  const bool is_user_or_member =
      client && (client->passed == AuthPolicy::member_cert || client->passed == AuthPolicy::user_cert);
  if (is_user_or_member && client->passed_of == &policies && committed && *committed == client->passed_at &&
      (client->passed == AuthPolicy::member_cert || client->valid_at(unix_seconds)))
    return Caller{client->passed, client->id, client->data};
  for (const auto policy : policies)
  {
    auto outcome = try_policy(policy, session, state, unix_seconds);
    if (outcome)
    {
      if (client && committed)
      {
        client->passed = policy;
        client->passed_of = &policies;
        client->passed_at = *committed;
      }
      return std::move(*outcome);
    }
    details.push_back(boost::json::object{
        {"auth_policy", policy_name(policy)}, {"code", "InvalidAuthenticationInfo"}, {"message", outcome.error()}});
  }
  return std::nullopt;
}
}
