#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "base/worker_pool.h"
#include "concordat/transaction.h"
#include "http/server.h"
#include "node/callers.h"
#include "node/forwarded_stream.h"
#include "node/peer_message.h"
#include "peer/channel.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace concordat::node
{
/// Runs what other nodes hand on to this one, and sends the answers back (http-api.md §2.6). The channel brings each
/// request once at most, and so it runs once at most. Any thread may call.
class ForwardedRequests
{
public:
  struct Options
  {
    /// May be called as long as an exchange lives. @return false if the message will not arrive
    std::function<bool(const peer::NodeId&, PeerMessage, peer::Payload)> send;
    /// Answers the exchange in any case, if this node is primary in that view; must not wait.
    std::function<void(const std::shared_ptr<http::Exchange>&, View)> run;
  };
  /// @param pool   reads answers that are streams; outlives the exchanges, as `clock` does
  ForwardedRequests(Options options, base::Executor& pool, const base::Clock& clock);

  /// A message of kind `forwarded_request`.
  void take(peer::Received message);
  /// A message of kind `forwarded_more`.
  void take_more(const peer::Received& message)
  {
    streams_->take(message);
  }
  /// To be called from time to time.
  void look()
  {
    streams_->look();
  }

private:
  std::shared_ptr<Client> client_of(const std::string& certificate) EXCLUDES(mutex_);

  const Options options_;
  base::Executor& pool_;
  const std::shared_ptr<OutgoingStreams> streams_; ///< of answers that are being sent
  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Client>> clients_ GUARDED_BY(mutex_); ///< by certificate
};
}
