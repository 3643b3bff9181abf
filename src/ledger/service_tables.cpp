#include "ledger/service_tables.h"

#include "base/encoding.h"
#include "ledger/endorsement.h"
#include "ledger/entry.h"
#include "ledger/json_text.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::string_view nodes_table = "public:ccf.gov.nodes.info";
constexpr std::string_view node_certs_table = "public:ccf.gov.nodes.endorsed_certificates";
constexpr std::string_view service_table = "public:ccf.gov.service.info";
constexpr std::string_view previous_identity_table = "public:ccf.gov.service.previous_service_identity";
constexpr std::string_view previous_root_table = "public:ccf.internal.previous_service_last_signed_root";
constexpr std::string_view endorsement_table = "public:ccf.internal.previous_service_identity_endorsement";
constexpr std::size_t max_status = 64;

std::unexpected<Error> bad(std::string text)
{
  return fail(ErrorCode::corrupt, std::move(text));
}

const kv::MapWrites* find_map(const kv::WriteSet& writes, std::string_view table)
{
  const auto found = writes.find(table);
  return found == writes.end() ? nullptr : &found->second;
}

/// The value that a table of one key is set to; nothing if it is not written or removed.
const std::string* single_value(const kv::WriteSet& writes, std::string_view table)
{
  const auto* const map = find_map(writes, table);
  if (!map)
    return nullptr;
  const auto found = map->find(single_key);
  return found == map->end() || !found->second ? nullptr : &*found->second;
}

constexpr std::string_view known_statuses[] = {"Opening", "Open", "WaitingForRecoveryShares", "Recovering"};

bool is_known_status(std::string_view status)
{
  return std::ranges::find(known_statuses, status) != std::end(known_statuses);
}

struct ServiceInfo
{
  std::string status;
  crypto::Certificate cert;
};

Result<ServiceInfo> read_service(const kv::WriteSet& writes)
{
  const auto* const value = single_value(writes, service_table);
  if (!value)
    return bad("service.info is written without its one key");
  const auto object = parse_object(*value);
  if (!object)
    return fail("service.info", object.error());
  FieldReader fields(*object);
  auto status = fields.text("status", max_status);
  const auto pem = fields.text("cert", max_cert);
  if (auto good = fields.result(); !good)
    return fail("service.info", good.error());
  auto cert = crypto::Certificate::from_pem(pem);
  if (!cert)
    return fail("the service certificate", cert.error());
  return ServiceInfo{std::move(status), std::move(*cert)};
}

/// ledger-format.md §8.1; to `Opening` and to the same status is always allowed.
bool may_follow(std::string_view from, std::string_view to)
{
  if (to == "Opening" || from.empty() || from == to)
    return true;
  if (from == "Opening")
    return to == "Open" || to == "WaitingForRecoveryShares";
  if (from == "Recovering")
    return to == "WaitingForRecoveryShares";
  if (from == "WaitingForRecoveryShares")
    return to == "Open";
  return from == "Open" && to == "Recovering";
}

bool same_key(const crypto::Certificate& one, const crypto::Certificate& other)
{
  return one.public_key().der() == other.public_key().der();
}
}

std::optional<std::string> service_status_in(const kv::WriteSet& writes)
{
  auto info = find_map(writes, service_table) ? read_service(writes) : bad("");
  return info ? std::optional(std::move(info->status)) : std::nullopt;
}

Result<void> ServiceTables::check(const kv::WriteSet& writes, Oddities& oddities) const
{
  if (auto good = check_nodes(writes); !good)
    return good;
  if (auto good = check_service(writes, oddities); !good)
    return good;
  return check_endorsement(writes);
}

Result<void> ServiceTables::check_nodes(const kv::WriteSet& writes) const
{
  if (const auto* const nodes = find_map(writes, nodes_table))
    for (const auto& [node, value] : *nodes)
    {
      if (!value)
        continue;
      const auto object = parse_object(*value);
      if (!object)
        return fail("nodes.info of " + node, object.error());
      FieldReader fields(*object);
      const auto status = fields.text("status", max_status);
      if (auto good = fields.result(); !good)
        return fail("nodes.info of " + node, good.error());
      if (status != "Pending" && status != "Trusted" && status != "Retired")
        return bad("nodes.info of " + node + " has an unknown status");
    }
  if (const auto* const certs = find_map(writes, node_certs_table))
    for (const auto& [node, pem] : *certs)
    {
      if (!pem)
        continue;
      const auto cert = crypto::Certificate::from_pem(*pem);
      if (!cert)
        return fail("the endorsed certificate of " + node, cert.error());
      if (cert->public_key().id() != node)
        return bad("node id " + node + " is not the hash of the key in its endorsed certificate");
    }
  return {};
}

Result<void> ServiceTables::check_service(const kv::WriteSet& writes, Oddities& oddities) const
{
  if (!find_map(writes, service_table))
    return {};
  const auto info = read_service(writes);
  if (!info)
    return std::unexpected(info.error());
  if (!is_known_status(info->status))
    return bad("unknown service status");
  if (!may_follow(status_, info->status))
    return bad("service status " + status_ + " -> " + info->status);
  if (!service_ || same_key(*service_, info->cert))
    return {};
  return check_succession(writes, info->status, oddities);
}

/// Only a disaster recovery makes a service with another key, and it says which service it recovered from which root
/// on.
Result<void>
ServiceTables::check_succession(const kv::WriteSet& writes, std::string_view status, Oddities& oddities) const
{
  if (status != "Recovering" && status != "Opening")
    return bad("the key of the service changes without a recovery");
  const auto* const previous = single_value(writes, previous_identity_table);
  const auto* const root = single_value(writes, previous_root_table);
  if (status == "Opening" || !previous || !root)
    oddities.emplace_back("a new service that does not say which one it follows, and from where");
  if (previous)
  {
    const auto pem = parse_string(*previous);
    const auto cert = pem ? crypto::Certificate::from_pem(*pem) : std::unexpected(pem.error());
    if (!cert)
      return fail("the previous service's certificate", cert.error());
    if (!same_key(*cert, *service_))
      return bad("the new service names another one as its predecessor");
  }
  if (root)
  {
    const auto text = parse_string(*root);
    if (!text || (last_signed_root_ && *text != base::to_hex(base::as_view(*last_signed_root_))))
      return bad("the new service names another root than the last one that its predecessor signed");
  }
  return {};
}

/// The newest service signs its predecessor's key, the first one its own.
Result<void> ServiceTables::check_endorsement(const kv::WriteSet& writes) const
{
  const auto* const value = single_value(writes, endorsement_table);
  if (!value)
    return {};
  const auto read = read_endorsement(*value);
  if (!read)
    return fail("the endorsement of the previous service", read.error());
  const auto info = find_map(writes, service_table) ? read_service(writes) : bad("");
  const auto& service = info ? std::optional(info->cert) : service_;
  if (!service || read->endorsing_key != service->public_key().der())
    return bad("the endorsement of the previous service is not by the service");
  if (read->endorsed_key != (last_endorsing_key_.empty() ? read->endorsing_key : last_endorsing_key_))
    return bad("the service endorses a key that is not the one before its own");
  return {};
}

void ServiceTables::remember(TxId txid, const kv::WriteSet& writes)
{
  if (const auto* const nodes = find_map(writes, nodes_table))
    for (const auto& [node, value] : *nodes)
    {
      node_status_.erase(node);
      old_node_certs_.erase(node);
      const auto object = value ? parse_object(*value) : bad("");
      if (!object)
        continue;
      FieldReader fields(*object);
      node_status_[node] = fields.text("status", max_status);
      if (auto cert = fields.optional_text("cert", max_cert); cert && !cert->empty())
        old_node_certs_[node] = std::move(*cert);
    }
  if (const auto* const certs = find_map(writes, node_certs_table))
    for (const auto& [node, pem] : *certs)
    {
      node_certs_.erase(node);
      if (pem)
        node_certs_[node] = *pem;
    }
  if (find_map(writes, service_table))
  {
    const auto info = read_service(writes);
    service_ = info ? std::optional(info->cert) : std::nullopt;
    status_ = info && is_known_status(info->status) ? info->status : "unknown";
    if (info && (services_.empty() || !same_key(services_.back().cert, info->cert)))
      services_.push_back({txid, info->cert, std::nullopt});
  }
  if (const auto* const value = single_value(writes, endorsement_table))
    if (const auto read = read_endorsement(*value))
    {
      last_endorsing_key_ = read->endorsing_key;
      if (const auto known = services_.size(); known > 1 &&
                                               services_[known - 1].cert.public_key().der() == read->endorsing_key &&
                                               services_[known - 2].cert.public_key().der() == read->endorsed_key)
        services_[known - 2].endorsed_at = txid;
    }
}

std::optional<NamedNode> ServiceTables::node(std::string_view id) const
{
  const auto status = node_status_.find(id);
  if (status == node_status_.end())
    return std::nullopt;
  const auto endorsed = node_certs_.find(id);
  const auto old = old_node_certs_.find(id);
  return NamedNode{
      status->second, endorsed != node_certs_.end()  ? endorsed->second
                      : old != old_node_certs_.end() ? old->second
                                                     : ""};
}
}
