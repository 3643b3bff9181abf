#pragma once

#include "node/dispatcher.h"
#include "node/forwarded_requests.h"
#include "node/forwarder.h"
#include "node/peer_link.h"
#include "node/services.h"

namespace concordat::node
{
/// Joins the requests of a node with its way to the others: what only the primary can answer goes there, and what
/// others hand on to this node is run. From its construction on; what it is given outlives it.
class RequestLink
{
public:
  /// @param services  their `forwarder` is set: to be made before requests come in
  RequestLink(PeerLink& link, Services& services, const Dispatcher& dispatcher);
  /// Stops the link too, which calls it.
  ~RequestLink();
  RequestLink(const RequestLink&) = delete;
  RequestLink& operator=(const RequestLink&) = delete;

  /// Whoever waits for the primary is answered. What others hand on is refused by the pool, once that has stopped.
  /// Idempotent.
  void stop();

private:
  PeerLink& link_;
  ForwardedRequests received_;
  Forwarder forwarder_;
};
}
