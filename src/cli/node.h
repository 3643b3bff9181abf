#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <boost/json/object.hpp>

#include <optional>
#include <string>

namespace concordat::cli
{
/// Whom `concordat node` asks: a node over HTTPS, or one on this machine at its control socket, which also changes
/// nodes.
struct NodeOptions
{
  ConnectionOptions connection;
  std::string control; ///< path of the control socket
  std::string node_id; ///< or the beginning of one
  std::optional<unsigned> days;
};

/// Prints the nodes of a service.
Outcome run_node_list(const NodeOptions& options, Console& console);
/// Has a pending node take part.
Outcome run_node_trust(const NodeOptions& options, Console& console);
/// Has a node take part no longer.
Outcome run_node_retire(const NodeOptions& options, Console& console);
/// Forgets a node that takes part no longer.
Outcome run_node_remove(const NodeOptions& options, Console& console);

/// Sends one command to a control socket. Whatever answers there, the answer is an object.
Attempt<boost::json::object> ask_control(const std::string& path, const boost::json::object& command);
}
