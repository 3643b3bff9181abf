#include "node/redirection.h"

#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>

#include <random>

namespace concordat::node
{
namespace
{
/// Any node of the service that has not retired, but this one.
std::vector<std::string> other_nodes(const Services& services, ReadTransaction& state)
{
  std::vector<std::string> out;
  for (const auto cursor = state.scan(tables::node_info); cursor->next();)
  {
    std::string id(cursor->key());
    const auto record = read_object(state, tables::node_info, id);
    if (id != services.node_id && record && string_member(*record, "status") == "Trusted")
      out.push_back(std::move(id));
  }
  return out;
}

std::optional<std::string> resolve(
    const Services& services, ReadTransaction& state, const RedirectionTarget& target, const std::string& own_interface)
{
  if (!target.address.empty())
    return target.address;
  const auto& interface = target.interface.empty() ? own_interface : target.interface;
  if (target.role == RedirectionTarget::Role::primary)
  {
    const auto primary = primary_id(services, state);
    return primary ? published_address(state, *primary, interface) : std::nullopt;
  }
  const auto primary = primary_id(services, state);
  std::vector<std::string> addresses;
  for (const auto& node : other_nodes(services, state))
    if (node != primary)
      if (auto address = published_address(state, node, interface))
        addresses.push_back(std::move(*address));
  if (addresses.empty())
    return std::nullopt;
  thread_local std::minstd_rand random{std::random_device{}()};
  return addresses[random() % addresses.size()];
}
}

std::optional<std::string> primary_id(const Services& services, ReadTransaction& state)
{
  const auto agreement = services.ordering.agreement();
  if (agreement.primary || (agreement.leader != 0 && agreement.leader == agreement.self))
    return services.node_id;
  if (agreement.leader == 0)
    return std::nullopt;
  const auto nodes = node_ids(state);
  const auto found = nodes.find(agreement.leader);
  return found != nodes.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<std::string>
published_address(ReadTransaction& state, std::string_view node_id, std::string_view interface)
{
  const auto record = read_object(state, tables::node_info, node_id);
  const auto* const interfaces = record ? record->if_contains("rpc_interfaces") : nullptr;
  const auto* const all = interfaces ? interfaces->if_object() : nullptr;
  const auto* const one = all ? all->if_contains(interface) : nullptr;
  const auto* const found = one ? one->if_object() : nullptr;
  if (!found)
    return std::nullopt;
  auto address = string_member(*found, "published_address");
  if (address.empty())
    address = string_member(*found, "bind_address");
  return address.empty() ? std::nullopt : std::optional(std::move(address));
}

Forwarding forwarding_of(const Endpoint& endpoint)
{
  return endpoint.forwarding.value_or(endpoint.mode == Mode::read_write ? Forwarding::always : Forwarding::sometimes);
}

bool is_redirected(const Endpoint& endpoint)
{
  return endpoint.forwarding ? *endpoint.forwarding != Forwarding::never : endpoint.mode == Mode::read_write;
}

Response redirect_to_primary(const Services& services, const RpcInterface& interface, const Request& request)
{
  kv::SnapshotTransaction state(services.store.committed(), kv::RunBy::node);
  const auto address = resolve(services, state, interface.redirections->to_primary, interface.listen.name);
  if (!address)
    return Response::error(503, "PrimaryNotFound", "No primary is known at present; try again later");
  auto response = Response::empty(307);
  response.headers.emplace_back("location", "https://" + *address + target_of(request));
  return response;
}

std::string target_of(const Request& request)
{
  static constexpr std::string_view kept = "-._~!$'()*,;:@/?&=";
  static constexpr std::string_view digits = "0123456789ABCDEF";
  auto out = request.path;
  if (request.query.empty())
    return out;
  out += '?';
  for (const char c : request.query)
  {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        kept.find(c) != std::string_view::npos)
      out += c;
    else
    {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}
}
