#pragma once

#include "cli/console.h"
#include "cli/failure.h"

#include <string>
#include <vector>

namespace concordat::cli
{
struct NodeAddOptions
{
  std::string from;                       ///< configuration file of a node of the service
  std::string into;                       ///< directory of the new node; must not exist, or be empty
  std::vector<std::string> rpc_addresses; ///< host:port for the one interface, or name=host:port for each
  std::string node_address;               ///< host:port that other nodes connect to
  std::string service_certificate;        ///< file; the one that `from` names if empty
};

/// Prepares a node that joins a service: its directory, with a configuration made from another node's and the service's
/// certificate. The node is not started.
Outcome run_node_add(const NodeAddOptions& options, Console& console);

/// The configuration of a node that joins the service of the node with the configuration `from`.
/// @param from       the whole file
/// @param directory  of the new node, absolute
/// @return Exit::failed when `from` is no configuration; Exit::usage when an address is missing or is none
Attempt<std::string>
joining_configuration(const std::string& from, const std::string& directory, const NodeAddOptions& options);
}
