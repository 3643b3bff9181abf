#pragma once

#include "cli/failure.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace concordat::cli
{
/// Where a node of a sandbox listens on 127.0.0.1; 0: any that is free.
struct NodePorts
{
  unsigned clients = 0;
  unsigned nodes = 0; ///< must stay the same if there are others, who know it from the ledger
};

/// The directory of a sandbox, laid out as existing tools expect it:
///
///     common/   service_cert.pem, member0_cert.pem, member0_privk.pem, member0_enc_pubk.pem, …, user0_cert.pem, …
///     node0/    config.json, log, ledger/, snapshots/, and what the node keeps for itself; the same for node1, …
///     sample.csv
class Workspace
{
public:
  /// @param directory made absolute
  explicit Workspace(const std::string& directory);

  const std::string& directory() const
  {
    return directory_;
  }
  std::string common(const std::string& name = "") const;
  std::string node(const std::string& name = "", unsigned index = 0) const;
  std::string sample() const;

  /// An earlier sandbox has made it.
  bool exists() const;
  /// Makes directories, keys, the nodes' configurations and a sample file.
  Outcome create(unsigned members, unsigned users, const std::vector<NodePorts>& nodes) const;
  /// Removes what `create` and the node have written, and nothing else.
  Outcome remove() const;

  unsigned nodes() const;
  /// The port for clients in a node's configuration.
  Attempt<unsigned> port(unsigned index) const;
  Outcome set_port(unsigned index, unsigned port) const;

  /// How many callers of that kind (member, user) have a key in common/.
  unsigned count(const std::string& kind) const;

private:
  std::string directory_;
};

/// The configuration file of a sandbox's first node (governance.md §16).
std::string node_configuration(unsigned members, unsigned users, NodePorts ports);
/// Of one that joins it.
/// @param target  the first node's port for clients
std::string joining_node_configuration(NodePorts ports, unsigned target);
}
