#include "node/callers.h"

#include "crypto/certificate.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
/// What a client's certificate says; nothing of it if the certificate cannot be read.
struct ClientCertificate
{
  bool readable = false;
  std::string id;
  std::string key_id;
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;

  bool valid_at(std::int64_t unix_seconds) const
  {
    return not_before <= unix_seconds && unix_seconds <= not_after;
  }
};

const ClientCertificate& certificate_of(http::Session& session)
{
  if (!session.handler_data)
  {
    auto read = std::make_shared<ClientCertificate>();
    if (const auto parsed = crypto::Certificate::from_der(session.client_certificate))
      *read = {true, parsed->id(), parsed->public_key().id(), parsed->not_before(), parsed->not_after()};
    session.handler_data = std::move(read);
  }
  return *static_cast<const ClientCertificate*>(session.handler_data.get());
}

/// The caller if the policy passes, else why it does not.
std::expected<Caller, std::string> try_policy(
  AuthPolicy policy, http::Session& session, ReadTransaction& state, std::int64_t unix_seconds)
{
  if (policy == AuthPolicy::no_auth)
    return Caller{};
  if (session.client_certificate.empty())
    return std::unexpected("No caller certificate was given");
  const auto& certificate = certificate_of(session);
  if (!certificate.readable)
    return std::unexpected("The caller certificate cannot be read");

  const auto member_of = [](const std::optional<boost::json::object>& record, std::string_view name) {
    const auto* const data = record ? record->if_contains(name) : nullptr;
    return data ? *data : boost::json::value();
  };
  switch (policy)
  {
    case AuthPolicy::member_cert:
      if (!state.has(tables::member_certs, certificate.id))
        return std::unexpected("The caller is not a known member");
      return Caller{
        policy, certificate.id, member_of(read_object(state, tables::member_info, certificate.id), "member_data")};
    case AuthPolicy::user_cert:
      if (!state.has(tables::user_certs, certificate.id))
        return std::unexpected("The caller is not a known user");
      if (!certificate.valid_at(unix_seconds))
        return std::unexpected("The caller's certificate is not valid now");
      return Caller{
        policy, certificate.id, member_of(read_object(state, tables::user_info, certificate.id), "user_data")};
    case AuthPolicy::any_cert:
      if (!certificate.valid_at(unix_seconds))
        return std::unexpected("The caller's certificate is not valid now");
      return Caller{policy, "", nullptr};
    case AuthPolicy::node_cert:
      if (!state.has(tables::node_info, certificate.key_id))
        return std::unexpected("The caller is not a known node");
      return Caller{policy, certificate.key_id, nullptr};
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
  const std::vector<AuthPolicy>& policies, http::Session& session, ReadTransaction& state, std::int64_t unix_seconds,
  boost::json::array& details)
{
  if (policies.empty())
    return Caller{};
  for (const auto policy : policies)
  {
    auto outcome = try_policy(policy, session, state, unix_seconds);
    if (outcome)
      return std::move(*outcome);
    details.push_back(boost::json::object{
      {"auth_policy", policy_name(policy)}, {"code", "InvalidAuthenticationInfo"}, {"message", outcome.error()}});
  }
  return std::nullopt;
}
}
