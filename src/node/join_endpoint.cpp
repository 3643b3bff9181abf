#include "node/join_endpoint.h"

#include "attestation/platform.h"
#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/signing_request.h"
#include "ledger/entry.h"
#include "net/address.h"
#include "node/certificates.h"
#include "node/common_endpoints.h"
#include "node/connection_context.h"
#include "node/engine_ids.h"
#include "node/join_message.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>

namespace concordat::node
{
namespace json = boost::json;

namespace
{
/// Whoever can make evidence can ask: so many may wait for members to decide.
constexpr std::size_t most_pending = 64;
constexpr std::string_view pending = "Pending";
constexpr std::string_view trusted = "Trusted";
constexpr std::string_view retired = "Retired";

std::string status_of(const json::object& record)
{
  return string_member(record, "status");
}

Response cannot_read(const Error& why)
{
  return Response::error(400, "InvalidInput", "The request to join cannot be read: " + why.describe());
}

Response not_now(std::string_view why)
{
  return Response::error(500, "InternalError", why);
}

/// The address that others use for an interface between nodes.
std::string address_of(const json::object& interface)
{
  auto published = string_member(interface, "published_address");
  return published.empty() ? string_member(interface, "bind_address") : published;
}

/// One request, in one run of its handler.
class Joining
{
public:
  Joining(
      Services& services, const Identity& identity, Context& context, const JoinRequest& request,
      const crypto::PublicKey& key, const http::Session& session)
      : services_(services),
        identity_(identity),
        context_(context),
        state_(*context.state()),
        request_(request),
        key_(key),
        node_id_(key.id()),
        interface_(session.interface)
  {
  }

  Response answer()
  {
    const auto service = read_object(state_, tables::service_info, ledger::single_key);
    if (!service)
      return not_now("There is no service that could be joined");
    service_ = *service;
    const bool opening = string_member(service_, "status") == "Opening";
    const auto record = node_record_of(state_, node_id_);
    if (record && status_of(*record) == trusted)
      return let_in();
    if (record && status_of(*record) == pending)
      return opening ? trust() : wait();
    if (record)
      return Response::error(
          400, "InvalidNodeState", "This node was part of the service, and is no longer: its key cannot join again");
    if (!services_.ordering.can_write())
      return elsewhere();
    if (auto refused = add())
      return std::move(*refused);
    return opening ? trust() : wait();
  }

private:
  Response wait() const
  {
    return node::answer(write_join_answer(pending, node_id_, nullptr));
  }

  Response let_in()
  {
    const auto endorsed = state_.get(tables::node_certificates, node_id_);
    if (!endorsed)
      return not_now("This node has no certificate of the service yet");
    const auto certificate = string_member(service_, "cert");
    const auto status = string_member(service_, "status");
    const auto& joined = identity_.joined;
    const NetworkInfoView network{
        services_.ledger_secrets,
        identity_.service_key,
        certificate,
        status,
        *endorsed,
        joined ? joined->cose_issuer : services_.configuration.cose_issuer,
        joined ? joined->cose_subject : services_.configuration.cose_subject};
    return node::answer(write_join_answer(trusted, node_id_, &network));
  }

  /// Before the service opens nobody is asked: who creates it decides by its measurements who takes part.
  Response trust()
  {
    if (!services_.ordering.can_write())
      return elsewhere();
    const Certifier certifier{identity_.service_key, services_.ledger_secrets, services_.clock.unix_seconds()};
    const auto days = std::min<std::uint64_t>(longest_validity(state_), services_.configuration.node_validity_days);
    const auto done = trust_node(context_.transaction(), node_id_, certifier, {std::nullopt, days});
    if (!done)
      return not_now(done.error().describe());
    return let_in();
  }

  /// To the primary, at the interface of the same name.
  Response elsewhere() const
  {
    const auto leader = services_.ordering.agreement().leader;
    const auto ids = node_ids(state_);
    const auto known = ids.find(leader);
    const auto record = known == ids.end() ? std::nullopt : node_record_of(state_, known->second);
    const auto* const interfaces = record ? record->if_contains("rpc_interfaces") : nullptr;
    const auto* const same =
        interfaces && interfaces->is_object() ? interfaces->get_object().if_contains(interface_) : nullptr;
    if (!same || !same->is_object() || known->second == services_.node_id)
      return not_now("This node is not the primary, and does not know which one is");
    auto response = Response::error(
        308, "NodeCannotHandleRequest", "This node is not the primary, which alone lets other nodes in");
    response.headers.emplace_back("location", "https://" + address_of(same->get_object()) + "/node/join");
    return response;
  }

  /// Writes a pending node, or says why not.
  std::optional<Response> add()
  {
    if (auto refused = check_others())
      return refused;
    const auto claims = attestation::check_evidence(request_.format, request_.quote, request_.endorsements);
    if (auto refused = check_claims(claims))
      return refused;
    if (auto refused = check_request())
      return refused;
    auto node_to_node = request_.node_to_node_interface;
    node_to_node["published_address"] = address_of(request_.node_to_node_interface);
    auto interfaces = request_.rpc_interfaces;
    for (auto& [name, interface] : interfaces)
      interface.get_object()["published_address"] = address_of(interface.get_object());
    json::object record{
        {"code_digest", claims->code_digest},
        {"encryption_pub_key", request_.public_encryption_key},
        {"node_data", request_.node_data},
        {"node_to_node_interface", std::move(node_to_node)},
        {"public_key", key_.pem()},
        {"quote_info",
         {{"endorsements", base::to_base64(request_.endorsements)},
          {"format", request_.format},
          {"quote", base::to_base64(request_.quote)}}},
        {"retired_committed", false},
        {"rpc_interfaces", std::move(interfaces)},
        {"status", pending}};
    if (!request_.certificate_signing_request.empty())
      record["certificate_signing_request"] = request_.certificate_signing_request;
    context_.transaction().put(tables::node_info, node_id_, to_canonical_json(record));
    return std::nullopt;
  }

  std::optional<Response> check_others()
  {
    const auto address = address_of(request_.node_to_node_interface);
    const auto parts = net::split_address(address);
    if (!parts || is_wildcard(parts->host) || parts->port == "0")
      return Response::error(
          400, "InvalidInput",
          "Other nodes cannot connect to the node-to-node address '" + address + "': set 'published_address'");
    std::size_t waiting = 0;
    const auto nodes = state_.scan(tables::node_info);
    while (nodes->next())
    {
      const auto record = parse_json(nodes->value());
      const auto* const object = record ? record->if_object() : nullptr;
      if (!object || status_of(*object) == retired)
        continue;
      waiting += status_of(*object) == pending ? 1 : 0;
      const auto* const theirs = object->if_contains("node_to_node_interface");
      if (theirs && theirs->is_object() && address_of(theirs->get_object()) == address)
        return Response::error(
            400, "NodeAlreadyExists",
            "Another node has the node-to-node address '" + address + "'; take that node out of the service first");
    }
    if (waiting >= most_pending)
      return not_now("Too many nodes wait to be trusted; try again when members have decided on them");
    return std::nullopt;
  }

  /// governance.md §11.1
  std::optional<Response> check_claims(const Result<attestation::Claims>& claims)
  {
    const auto refuse = [](std::string why) { return Response::error(401, "InvalidQuote", std::move(why)); };
    if (!claims)
      return refuse("The evidence cannot be verified: " + claims.error().describe());
    if (!state_.has(tables::virtual_host_data, claims->host_data))
      return refuse("The evidence's host data is not one that the service allows to join");
    if (state_.get(tables::virtual_measurements, claims->measurement) != "\"AllowedToJoin\"")
      return refuse("The evidence's measurement is not one that the service allows to join");
    if (base::to_hex(base::as_view(claims->report_data)) != node_id_)
      return refuse("The evidence is not for the key of this connection");
    return std::nullopt;
  }

  std::optional<Response> check_request() const
  {
    if (request_.certificate_signing_request.empty())
      return std::nullopt;
    const auto asked = crypto::SigningRequest::from_pem(request_.certificate_signing_request);
    if (!asked)
      return cannot_read(asked.error());
    if (asked->key.id() != node_id_)
      return Response::error(
          400, "CSRPublicKeyInvalid", "The certificate signing request is not for the key of this connection");
    return std::nullopt;
  }

  Services& services_;
  const Identity& identity_;
  Context& context_;
  ReadTransaction& state_;
  const JoinRequest& request_;
  const crypto::PublicKey& key_;
  const std::string node_id_;
  const std::string interface_;
  json::object service_;
};

Response join(Services& services, const Identity& identity, Context& context)
{
  // First, as clients expect of every endpoint: what a request says is wrong whoever sends it.
  const auto& request = context.once<Result<JoinRequest>>([&] { return read_join_request(context.request().body); });
  if (!request)
    return cannot_read(request.error());
  const auto* const session = session_of(context);
  const auto certificate =
      session ? crypto::Certificate::from_der(session->client_certificate) : fail(ErrorCode::denied, "no connection");
  // Its key is all that counts: a node that nobody knows has nobody who would vouch for more.
  if (!certificate || !certificate->public_key().curve())
    return Response::error(
        401, "InvalidAuthenticationInfo", "A node that joins shows a certificate with the EC key that it is to have");
  if (services.ordering.committed().seqno == 0)
    return not_now("This node is not part of the service yet");
  return Joining(services, identity, context, *request, certificate->public_key(), *session).answer();
}
}

Endpoint join_endpoint(Services& services, const Identity& identity)
{
  Endpoint endpoint;
  endpoint.method = "POST";
  endpoint.path = "/join";
  endpoint.mode = Mode::read_write;
  endpoint.handler = [&services, &identity](Context& context) { return join(services, identity, context); };
  endpoint.hidden = true;
  endpoint.forwarding = Forwarding::never; // over another node's connection it would be that node's key
  return endpoint;
}
}
