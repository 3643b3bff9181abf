#include "node/peer_directory.h"

#include "consensus/log_record.h"
#include "ledger/entry.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/peer_message.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

namespace concordat::node
{
PeerDirectory::Versions PeerDirectory::versions_of(const kv::State& state)
{
  const auto version = [&](std::string_view table)
  {
    const auto* const map = state.find(table);
    return map ? map->version : 0;
  };
  return {
      version(tables::node_info), version(tables::engine_ids), version(consensus::LogRecord::table),
      version(tables::returns)};
}

PeerDirectory::PeerDirectory(const kv::Snapshot& state) : versions_(versions_of(*state)), read_(true)
{
  kv::SnapshotTransaction reads(state, kv::RunBy::node);
  for (const auto& [newest, node] : node_ids(reads))
  {
    ids_[node] = newest;
    all_ids_[node] = engine_ids_of(reads, node);
    // It speaks under the one before until that is out of the agreement.
    for (const auto id : all_ids_[node])
      nodes_[id] = node;
  }
  const auto agrees = configuration_in(reads);
  for (const auto& [id, node] : nodes_)
    if (agrees.role(id) != consensus::Role::none)
      may_speak_[node] = true;
  for (const auto cursor = reads.scan(tables::node_info); cursor->next();)
  {
    const peer::NodeId node(cursor->key());
    const auto record = read_object(reads, tables::node_info, node);
    // One that was not trusted yet may be by now: it is as one that is not known. What it shows is endorsed, or not.
    if (record && string_member(*record, "status") == "Pending")
      continue;
    auto& speaks = may_speak_[node];
    speaks = speaks || (record && takes_part(*record));
    const auto* const interface = record && speaks ? record->if_contains("node_to_node_interface") : nullptr;
    if (!interface || !interface->is_object())
      continue;
    auto address = string_member(interface->get_object(), "published_address");
    if (address.empty())
      address = string_member(interface->get_object(), "bind_address");
    if (is_peer_address(address))
      addresses_[node] = std::move(address);
  }
}

bool PeerDirectory::is_same(const kv::State& state) const
{
  return read_ && versions_ == versions_of(state);
}

bool PeerDirectory::may_speak(const peer::NodeId& node) const
{
  if (!read_)
    return false;
  const auto found = may_speak_.find(node);
  return found != may_speak_.end() ? found->second : !ids_.contains(node);
}

bool PeerDirectory::is(const peer::NodeId& node, consensus::EngineId id) const
{
  const auto owner = nodes_.find(id);
  if (owner != nodes_.end())
    return owner->second == node;
  // It may have come back under another number while this node was away: a later one, that nobody else has.
  const auto known = ids_.find(node);
  return id != 0 && (known == ids_.end() || id > known->second);
}

std::optional<peer::NodeId> PeerDirectory::node_of(consensus::EngineId id) const
{
  const auto found = nodes_.find(id);
  return found != nodes_.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<consensus::EngineId> PeerDirectory::id_of(const peer::NodeId& node) const
{
  const auto found = ids_.find(node);
  return found != ids_.end() ? std::optional(found->second) : std::nullopt;
}

std::vector<consensus::EngineId> PeerDirectory::ids_of(const peer::NodeId& node) const
{
  const auto found = all_ids_.find(node);
  return found != all_ids_.end() ? found->second : std::vector<consensus::EngineId>();
}
}
