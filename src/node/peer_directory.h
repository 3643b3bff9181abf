#pragma once

#include "consensus/engine.h"
#include "kv/store.h"
#include "peer/channel.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::node
{
/// The nodes of the service as one state of the tables has them: who may speak, where they are, and under which number
/// the engine of consensus knows them. Not changed once it is read.
class PeerDirectory
{
public:
  PeerDirectory() = default;
  explicit PeerDirectory(const kv::Snapshot& state);
  /// Whether a later state may say something else than the one that this was read from.
  bool is_same(const kv::State& state) const;

  /// Trusted nodes, and retired ones until they have left the agreement: whoever counts for a majority must be heard,
  /// also on the change that removes them. Also a node that no table knows, and none
  /// has ever known: this node may have been away while it joined, and could hear from nobody else. That the service
  /// has endorsed it is checked before. Who was removed is known for ever by its number.
  bool may_speak(const peer::NodeId& node) const;
  /// Whether messages of `node` may come from `id`: one that it has or had, or that this state does not know yet.
  bool is(const peer::NodeId& node, consensus::EngineId id) const;

  std::optional<peer::NodeId> node_of(consensus::EngineId id) const;
  std::optional<consensus::EngineId> id_of(const peer::NodeId& node) const;
  /// All that the node has and had, in order.
  std::vector<consensus::EngineId> ids_of(const peer::NodeId& node) const;
  /// Where the nodes are that may speak, as far as the tables say.
  const std::map<peer::NodeId, std::string>& addresses() const
  {
    return addresses_;
  }

private:
  using Versions = std::array<Seqno, 4>;
  static Versions versions_of(const kv::State& state);

  Versions versions_{}; ///< of the tables
  bool read_ = false;   ///< from a state
  std::map<peer::NodeId, bool> may_speak_;
  std::map<peer::NodeId, std::string> addresses_;
  std::map<consensus::EngineId, peer::NodeId> nodes_;
  std::map<peer::NodeId, consensus::EngineId> ids_;
  std::map<peer::NodeId, std::vector<consensus::EngineId>> all_ids_;
};
}
