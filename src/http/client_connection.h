#pragma once

#include "concordat/error.h"
#include "http/client.h"
#include "http/tls.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::http
{
/// One TLS connection to a server, with a time limit on each wait. Used by one thread.
class ClientConnection
{
public:
  /// Takes the socket over; handshake and host check are done.
  ClientConnection(int socket, SSL* ssl, std::uint64_t timeout_ms);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  void set_timeout(std::uint64_t timeout_ms)
  {
    timeout_ms_ = timeout_ms;
  }
  /// False when the server has closed it, or sent what nobody asked for.
  bool is_idle();
  Result<void> write(std::string_view bytes);
  /// Replaces `piece`; empty once the server has closed.
  Result<void> read(std::string& piece);

private:
  int socket_;
  SSL* ssl_;
  std::uint64_t timeout_ms_;
};

/// Opens connections to the server that the options name, and to no other.
class ClientConnector
{
public:
  /// @return Error::invalid if url, certificates or key cannot be used
  static Result<std::unique_ptr<ClientConnector>> create(ClientOptions options);

  /// @return Error::unavailable if nobody answers; Error::denied if it is not the server that was meant
  Result<std::unique_ptr<ClientConnection>> connect() const;

  void set_timeout(std::uint64_t timeout_ms)
  {
    options_.timeout_ms = timeout_ms;
  }
  const std::string& host_and_port() const
  {
    return host_and_port_;
  }

private:
  Result<int> open_socket() const;
  Result<void> shake_hands(int socket, SSL* ssl) const;

  ClientOptions options_;
  std::string host_;
  std::string port_;
  std::string host_and_port_;
  net::SslContext context_;
};
}
