#pragma once

#include "concordat/error.h"
#include "concordat/http.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::http
{
/// Bounds of one interface; defaults are those of http-api.md §4.2–4.4 where it has them. Whatever waits for a client
/// is bounded in number or bytes, and in time; 0 switches a limit of time, or the rate, off.
struct Limits
{
  std::uint64_t max_body_size = 1 << 20;
  std::uint64_t max_header_size = 16 << 10; ///< of each name and each value
  std::uint64_t max_headers_count = 256;

  /// Sessions of callers whom nobody knows: above the first a new one is told so, above the second it is closed.
  std::uint64_t max_open_sessions_soft = 1000;
  std::uint64_t max_open_sessions_hard = 1010;
  /// Sessions of known callers beside them: no stranger can take these, and no caller all of them.
  std::uint64_t max_known_sessions = 1000;
  /// Connections whose handshake goes on. When there are more, the oldest of the address that has most is closed.
  std::uint64_t max_handshakes = 256;
  /// Bytes of requests that are half here, strangers' and known callers' apart; at least room for four bodies each.
  std::uint64_t max_unfinished_requests = 64 << 20;
  /// Bytes of answers that their clients do not take, strangers' and known callers' apart.
  std::uint64_t max_waiting_answers = 256 << 20;

  /// From the connection to the end of the handshake.
  std::uint64_t handshake_timeout_ms = 10'000;
  /// Without a byte of a next request, or the next byte of one.
  std::uint64_t idle_timeout_ms = 60'000;
  /// From the first byte after an answer, whatever it is, to the last one of the request.
  std::uint64_t request_timeout_ms = 60'000;
  /// From the first byte of an answer to the last one: so long may it hold what it is made from.
  std::uint64_t answer_timeout_ms = 30 * 60'000;
  /// Streamed answers at once, strangers' and known callers' apart: each holds what it is made from. No caller gets
  /// more than they leave free.
  std::uint64_t max_streams = 64;
  /// For the source of one, to make a piece of it, with the wait for a thread that asks it.
  std::uint64_t piece_timeout_ms = 30'000;
  /// Bytes a second that a client must take while an answer waits for them, in each period of this length.
  std::uint64_t min_answer_rate = 16 << 10;
  std::uint64_t answer_rate_period_ms = 10'000;
};

struct TlsIdentity
{
  std::string certificate_chain_pem;
  std::string private_key_pem;
};

struct Interface
{
  std::string name;
  std::string bind_address; ///< host:port; port 0 takes any
  Limits limits;
};

/// Counters of one interface, as `/node/metrics` shows them.
struct InterfaceMetrics
{
  std::string name;
  std::uint64_t active = 0;
  std::uint64_t peak = 0;
  std::uint64_t soft_cap = 0;
  std::uint64_t hard_cap = 0;
  std::uint64_t parsing_errors = 0;
  std::uint64_t payload_too_large = 0;
  std::uint64_t header_too_large = 0;
  std::uint64_t streams = 0; ///< whose source is still held
  std::uint64_t streams_refused = 0;
  std::uint64_t streams_broken_off = 0;
};

/// What is known of one connection; lives as long as any exchange on it.
struct Session
{
  std::uint64_t id = 0;
  std::string interface;
  /// DER of the certificate that the client showed (and proved to own the key of); empty if none.
  std::string client_certificate;
  /// View of the first request, 0 before it (http-api.md §2.4). For the handler's use.
  std::atomic<std::uint64_t> first_view{0};
  /// A request of it was handed on to the primary (http-api.md §2.6). For the handler's use.
  std::atomic<bool> forwarded{false};
  /// What the handler found out about the client; touched only while it runs, on the connection's thread.
  std::shared_ptr<void> handler_data;
};

/// One request and its answer. The handler may keep it and answer later, from any thread, once.
class Exchange
{
public:
  virtual ~Exchange() = default;
  virtual Request& request() = 0;
  virtual Session& session() = 0;
  /// Sends the answer. For HEAD the body is left out and content-length says how long it would be.
  /// @param close  end the connection after it
  virtual void respond(Response response, bool close = false) = 0;
  /// Goes on with the request on the thread that handed it out, soon; never if its connection is gone. Any thread may
  /// call, until it is answered.
  virtual void resume(std::function<void()> task)
  {
    task();
  }
  /// Told the id of the transaction that the request has become, before it is known whether it stands. Any thread may
  /// call; the answer may come first.
  virtual void note_transaction(const std::string& /*id*/) {}
};

/// Called on an I/O thread for each whole request that is within the limits, one at a time per connection and in
/// order: the next request of a connection is handed out after the answer to the one before.
using ExchangeHandler = std::function<void(std::shared_ptr<Exchange>)>;

/// HTTP/1.1 over TLS 1.2 and 1.3 (http-api.md §4), for any number of interfaces, on threads of its own: one accepts,
/// some do all else on connections, some ask the sources of streamed answers. Public calls may come from any thread.
class Server
{
public:
  struct Options
  {
    std::vector<Interface> interfaces;
    unsigned threads = 0;        ///< for I/O; 0: one per core
    unsigned stream_threads = 2; ///< that ask the sources of streamed answers
    /// Of the process's open files: how many connections leave to others. 0: 256, or half when there are few.
    std::uint64_t descriptors_kept_back = 0;
    /// Says whether the owner of a certificate (DER) has a share of the sessions that strangers cannot take. Called
    /// after each handshake that showed one, on I/O threads: it must be fast, and wait for nothing.
    std::function<bool(std::string_view certificate)> is_known;
  };

  /// Binds and listens; connections are accepted, and closed at once, until `set_identity` is called for their
  /// interface.
  /// @return Error::io naming the address that cannot be bound, or if there are too few descriptors for any connection
  static Result<std::unique_ptr<Server>> start(const Options& options, ExchangeHandler handler);
  /// Stops accepting, closes all connections, joins the threads. Exchanges may be answered later without effect.
  virtual ~Server() = default;

  /// The certificate shown to new connections from now on.
  virtual Result<void> set_identity(const std::string& interface, const TlsIdentity& identity) = 0;
  /// The address that was bound, host:port, with the actual port.
  virtual std::string address(const std::string& interface) const = 0;
  virtual std::vector<InterfaceMetrics> metrics() const = 0;
};
}
