#include "base/log.h"
#include "node/genesis.h"
#include "node/node.h"
#include "node/node_update.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>

/// A node that has come back with another configuration: what its record says of it is brought up to date.
namespace concordat::node
{
namespace
{
/// Between two times that a primary is told: it may have been busy, or lost what it was about to write.
constexpr std::chrono::seconds tell_pause{2};

Validity validity_of(ReadTransaction& state, const Configuration& configuration)
{
  return {std::nullopt, std::min<std::uint64_t>(longest_validity(state), configuration.node_validity_days)};
}
}

/// Alone: nobody else has to believe what this node says of itself.
Result<void> Node::refresh_record()
{
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  const auto whole = node_record(configuration_, *identity_, *evidence, nullptr, addresses_);
  boost::json::object says;
  for (const auto* const name : {"code_digest", "node_to_node_interface", "quote_info", "rpc_interfaces"})
    says[name] = whole.at(name);
  kv::SnapshotTransaction state(store_.committed());
  if (!node_record_of(state, identity_->node_id()))
    return fail(ErrorCode::corrupt, "the ledger does not know this node");
  const auto update = wanted_update(state, configuration_, *identity_, addresses_, says);
  if (!update)
    return std::unexpected(update.error());
  if (!*update)
    return {};
  const Certifier certifier{identity_->service_key, *identity_->ledger_secrets, clock_.unix_seconds()};
  const auto written = commit_now(
      [&](Transaction& transaction, TxId) -> Result<void>
      {
        const auto updated = update_node(
            transaction, identity_->node_id(), Says::all, (*update)->changes, (*update)->certificate_signing_request,
            certifier, validity_of(state, configuration_));
        return updated ? Result<void>{} : std::unexpected(updated.error());
      });
  if (!written)
    return fail("cannot write this node's new record", written.error());
  spdlog::info("this node's record has changed and was written in transaction {}", written->to_string());
  return {};
}

/// One of several: what only the primary can write, until it has.
void Node::tell_primary(const kv::Snapshot& committed)
{
  const auto now = clock_.steady();
  if (!link_ || now < next_telling_)
    return;
  next_telling_ = now + tell_pause;
  kv::SnapshotTransaction state(committed);
  tell_absence(state);
  keep_record_true(state);
}

/// Of another node, if one is known.
std::optional<std::string> Node::other_primary() const
{
  const auto agreed = sequencer_->agreement();
  return agreed.leader == agreed.self ? std::nullopt : link_->node_of(agreed.leader);
}

/// That this node went on without some voters is for all to see.
void Node::tell_absence(ReadTransaction& state)
{
  const AcceptedAbsence absence{start_, sequencer_->accepted_missing()};
  if (absence.missing.empty() || !needs_note(state, identity_->node_id(), absence))
    return;
  if (sequencer_->can_write())
    readmissions_.note_absence(identity_->node_id(), absence);
  else if (const auto primary = other_primary())
    (void)link_->send(*primary, PeerMessage::accepted_absence, absence.encode());
}

/// Where this node listens now.
void Node::keep_record_true(ReadTransaction& state)
{
  auto interfaces = published_interfaces(configuration_, addresses_);
  const auto update = wanted_update(
      state, configuration_, *identity_, addresses_,
      {{"node_to_node_interface", std::move(interfaces.node_to_node)}, {"rpc_interfaces", std::move(interfaces.rpc)}});
  if (!update)
    return spdlog::warn("this node's record cannot be brought up to date: {}", update.error().describe());
  if (!*update)
    return;
  if (sequencer_->can_write())
    return write_update(identity_->node_id(), **update);
  const auto primary = other_primary();
  auto message = (*update)->encode();
  if (!message)
    return spdlog::warn("this node's record cannot be brought up to date: {}", message.error().describe());
  if (primary && link_->send(*primary, PeerMessage::node_update, std::move(*message)))
    spdlog::info("this node listens elsewhere than its record says: node {} was asked to write that", *primary);
}

/// What a node says of itself; who sends it is known by the channel.
void Node::write_update(const std::string& node_id, const NodeUpdate& update)
{
  if (!sequencer_->can_write())
    return;
  const auto transaction = store_.begin_fresh(kv::RunBy::node);
  const Certifier certifier{identity_->service_key, *identity_->ledger_secrets, clock_.unix_seconds()};
  const auto updated = update_node(
      *transaction, node_id, Says::addresses, update.changes, update.certificate_signing_request, certifier,
      validity_of(*transaction, configuration_));
  if (!updated)
    return spdlog::warn("the record of node {} is not changed: {}", node_id, updated.error().describe());
  if (!*updated)
    return;
  // A conflict, or a primary that is deposed: the node says it again.
  if (const auto written = sequencer_->submit(*transaction, {}, {}); written)
    spdlog::info("node {} listens elsewhere, which transaction {} records", node_id, written->to_string());
}

/// What the service has certified this node as, shown to clients from now on.
void Node::show_certificate(const kv::Snapshot& committed)
{
  kv::SnapshotTransaction state(committed);
  const auto endorsed = state.get(tables::node_certificates, identity_->node_id());
  if (!endorsed || *endorsed == shown_certificate_ || !server_)
    return;
  shown_certificate_ = *endorsed;
  for (const auto& interface : configuration_.interfaces)
    if (interface.endorsed_by_service)
      if (auto set =
              server_->set_identity(interface.listen.name, {shown_certificate_, identity_->node_key.private_pem()});
          !set)
        spdlog::warn(
            "interface '{}' does not show its new certificate: {}", interface.listen.name, set.error().describe());
}
}
