#pragma once

#include "concordat/error.h"
#include "concordat/http.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::http
{
/// Bounds of one interface; defaults are those of http-api.md §4.2–4.4.
struct Limits
{
  std::uint64_t max_body_size = 1 << 20;
  std::uint64_t max_header_size = 16 << 10; ///< of each name and each value
  std::uint64_t max_headers_count = 256;
  std::uint64_t max_open_sessions_soft = 1000;
  std::uint64_t max_open_sessions_hard = 1010;
  /// A connection on which nothing is read or written for so long is closed, also during the handshake and in the
  /// middle of a request. 0: never.
  std::uint64_t idle_timeout_ms = 60'000;
  /// A request that has begun to arrive must be whole within this time; 0: never. Ends clients that drip bytes.
  std::uint64_t request_timeout_ms = 60'000;
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
  /// Sends the answer. For HEAD the body is left out and content-length is 0.
  /// @param close  end the connection after it
  virtual void respond(Response response, bool close = false) = 0;
};

/// Called on an I/O thread for each whole request that is within the limits, one at a time per connection and in
/// order: the next request of a connection is handed out after the answer to the one before.
using ExchangeHandler = std::function<void(std::shared_ptr<Exchange>)>;

/// HTTP/1.1 over TLS 1.2 and 1.3 (http-api.md §4), for any number of interfaces, on its own I/O threads.
/// Public calls may come from any thread.
class Server
{
public:
  struct Options
  {
    std::vector<Interface> interfaces;
    unsigned threads = 0; ///< 0: one per core
  };

  /// Binds and listens; connections are accepted, and closed at once, until `set_identity` is called for their
  /// interface.
  /// @return Error::io naming the address that cannot be bound
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
