#pragma once

#include "concordat/error.h"
#include "concordat/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace concordat::http
{
struct ClientOptions
{
  std::string url;                     ///< https://host:port
  std::string service_certificate_pem; ///< the only trust anchor; the host must be in the served certificate
  std::optional<std::string> certificate_pem;
  std::optional<std::string> private_key_pem;
  std::uint64_t timeout_ms = 60'000; ///< for connecting and for each read and write
};

/// A blocking client on one keep-alive connection, opened at the first request and again when the server closed it
/// between requests. Used by one thread.
class Client
{
public:
  static Result<std::unique_ptr<Client>> create(ClientOptions options);
  virtual ~Client() = default;

  /// Sends one request and reads the whole answer. A request is never sent twice: after a connection that broke while
  /// it was on its way, Error::unavailable says so, and whether it took effect is not known.
  virtual Result<Response>
  send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) = 0;

  /// As `send`, but hands the body on in pieces as it arrives; the returned response has an empty body.
  /// @param on_body false stops reading
  virtual Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) = 0;

  /// The time limit from now on, for connecting and for each read and write; may be called while a body arrives.
  virtual void set_timeout(std::uint64_t /*milliseconds*/) {}
};
}
