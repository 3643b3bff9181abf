#pragma once

#include "attestation/platform.h"
#include "base/clock.h"
#include "base/files.h"
#include "http/client.h"
#include "node/configuration.h"
#include "node/identity.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace concordat::node
{
/// What a node that joins works with; all of it outlives the call.
struct JoinMeans
{
  SealedState& sealed;
  base::FileSystem& files;
  base::Clock& clock;
  const attestation::Platform& platform;
  const std::map<std::string, std::string>& addresses; ///< the bound address of each interface, by name
  std::atomic<bool>& stop;                             ///< set by another thread: gives up
  std::function<Result<std::unique_ptr<http::Client>>(http::ClientOptions)> connect = http::Client::create;
  /// Waits, at most so long; for tests.
  std::function<void(std::chrono::milliseconds)> wait = {};
};

/// Becomes part of a service (governance.md §10.4): asks a node of it until this one is trusted, then receives its
/// secrets and its ledger. Blocks meanwhile; a restart asks again with the same key.
///
/// What is believed is the certificate of the service that the operator named: who answers must hold a certificate
/// that it issued, and the secrets must be of its key. The ledger must be the one that the node which answered speaks
/// of; that the service signed it is for the start to see that follows (`Node::restore`).
///
/// Once it returns, the identity (`Identity::joined` is set) and the state of consensus are sealed, and the ledger
/// directory holds the ledger up to the mark.
/// @pre there is no sealed identity; the ledger directory is this node's alone
/// @return Error::denied when the service refuses this node, which only an operator can change; Error::unavailable when
///         it was told to stop; the errors of the disk
Result<Identity> join_service(const Configuration& configuration, JoinMeans means);
}
