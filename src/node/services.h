#pragma once

#include "attestation/platform.h"
#include "base/clock.h"
#include "base/worker_pool.h"
#include "consensus/ordering.h"
#include "http/server.h"
#include "kv/store.h"
#include "ledger/secrets.h"
#include "node/configuration.h"
#include "node/request_ids.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace concordat::node
{
class Forwarder;

/// What endpoints of the framework work with. Outlives the server; usable from any thread.
struct Services
{
  const Configuration& configuration;
  kv::Store& store;
  consensus::Ordering& ordering;
  const ledger::LedgerSecrets& ledger_secrets;
  const attestation::Evidence& evidence;
  base::Clock& clock;
  base::Executor& pool; ///< runs what takes long
  std::string node_id;
  std::string self_signed_certificate_pem;
  std::string node_to_node_address;
  std::function<std::vector<http::InterfaceMetrics>()> metrics;
  std::atomic<bool> stop_notice{false};
  std::atomic<std::uint64_t> token_refresh_attempts{0};
  std::atomic<std::uint64_t> token_refresh_failures{0};
  Forwarder* forwarder = nullptr; ///< outlives the server; null: this node hands nothing on
  /// How long ago another node was heard of, by its id; nothing if never. May be null.
  std::function<std::optional<std::chrono::milliseconds>(const std::string&)> last_heard = {};
  RequestIds request_ids = RequestIds(); ///< of writes that may be repeated
};

/// The service is open in this state (http-api.md §2.3).
bool is_open(ReadTransaction& state);

/// Remembers whether the service is open in the committed state looked at last. Any thread may call.
class OpenFlag
{
public:
  bool operator()(const kv::Snapshot& committed);

private:
  /// Twice the seqno of that state, plus 1 if it said open.
  std::atomic<std::uint64_t> known_{0};
};
}
