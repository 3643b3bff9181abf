#pragma once

#include "http/test_identity.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace concordat::http::test
{
struct PeerOptions
{
  const TestIdentity* identity = nullptr;
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string ciphers;
  std::string groups;
  std::string alpn;                 ///< in wire format
  int receive_buffer = 0;           ///< bytes in the kernel; 0: as it is
  in_addr_t from = INADDR_LOOPBACK; ///< of 127/8, in the machine's byte order
};

struct Answer
{
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};

/// A connection to the server under test, whose calls wait ten seconds at most.
inline int connect_to(const std::string& address, int receive_buffer = 0, in_addr_t from = INADDR_LOOPBACK)
{
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval limit{10, 0};
  const int on = 1;
  ::setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer > 0)
    ::setsockopt(made, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(from);
  CHECK(::bind(made, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0, "all of 127/8 is this machine");
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0, "the server under test listens");
  return made;
}

/// A client without TLS.
class RawPeer
{
public:
  /// @param from  of 127/8, in the machine's byte order
  explicit RawPeer(const std::string& address, in_addr_t from = INADDR_LOOPBACK) : socket_(connect_to(address, 0, from))
  {
  }
  RawPeer(RawPeer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  RawPeer& operator=(RawPeer&&) = delete;
  ~RawPeer()
  {
    if (socket_ >= 0)
      ::close(socket_);
  }

  bool send(std::string_view bytes)
  {
    return bytes.empty() ||
           ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  int socket() const
  {
    return socket_;
  }
  void finish()
  {
    ::shutdown(socket_, SHUT_WR);
  }
  bool is_open() const
  {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
  /// @return nothing if the server does not end the connection within ten seconds of its last byte
  std::optional<std::string> read_to_the_end()
  {
    std::string all;
    char piece[4096];
    while (true)
    {
      const auto size = ::recv(socket_, piece, sizeof piece, 0);
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return std::nullopt;
      if (size <= 0)
        return all;
      all.append(piece, static_cast<std::size_t>(size));
    }
  }

private:
  int socket_;
};

/// A client that sends bytes as they are, blocking, and shares no code with the server.
class Peer
{
public:
  explicit Peer(const std::string& address, const PeerOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free)
  {
    socket_ = connect_to(address, options.receive_buffer, options.from);
    SSL_CTX_set_min_proto_version(context_.get(), options.min_version);
    SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    if (options.min_version < TLS1_2_VERSION)
      SSL_CTX_set_security_level(context_.get(), 0);
    if (!options.ciphers.empty())
      SSL_CTX_set_cipher_list(context_.get(), options.ciphers.c_str());
    if (!options.groups.empty())
      SSL_CTX_set1_groups_list(context_.get(), options.groups.c_str());
    if (!options.alpn.empty())
      SSL_CTX_set_alpn_protos(
          context_.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
          static_cast<unsigned>(options.alpn.size()));
    if (options.identity != nullptr)
    {
      SSL_CTX_use_certificate(context_.get(), options.identity->certificate.get());
      SSL_CTX_use_PrivateKey(context_.get(), options.identity->key.get());
    }
    ssl_ = {SSL_new(context_.get()), SSL_free};
    SSL_set_fd(ssl_.get(), socket_);
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  ~Peer()
  {
    ssl_.reset();
    if (socket_ >= 0)
      ::close(socket_);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool connected() const
  {
    return connected_;
  }
  SSL* ssl() const
  {
    return ssl_.get();
  }
  int socket() const
  {
    return socket_;
  }

  bool send(std::string_view bytes)
  {
    std::size_t size = 0;
    return bytes.empty() || SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1;
  }

  /// @return nothing if the server closed, or was silent for ten seconds
  std::optional<Answer> read_answer(bool is_head = false)
  {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    {
      if (!receive())
        return std::nullopt;
    }
    auto answer = parse_head(buffer_.substr(0, end + 2));
    buffer_.erase(0, end + 4);
    if (is_head)
      return answer;
    if (answer.headers.contains("transfer-encoding"))
      return read_chunks(answer) ? std::optional(answer) : std::nullopt;
    const auto length = std::strtoull(
        answer.headers.contains("content-length") ? answer.headers["content-length"].c_str() : "0", nullptr, 10);
    while (buffer_.size() < length)
    {
      if (!receive())
        return std::nullopt;
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return answer;
  }

  std::optional<Answer> ask(std::string_view bytes)
  {
    send(bytes);
    return read_answer();
  }

  /// True if the server ends the connection within ten seconds, and says nothing more before.
  bool is_closed()
  {
    return buffer_.empty() && !receive() && buffer_.empty() && !timed_out_;
  }

  /// @return what came until the server ended the connection; nothing if it does not within ten seconds of its last
  /// byte
  std::optional<std::string> read_to_the_end()
  {
    while (receive())
      ;
    return timed_out_ ? std::nullopt : std::optional(std::exchange(buffer_, {}));
  }

  /// The raw bytes that have come and were not read.
  const std::string& buffered() const
  {
    return buffer_;
  }

  void forget()
  {
    buffer_.clear();
  }

  bool receive()
  {
    char piece[16384];
    std::size_t size = 0;
    errno = 0;
    if (SSL_read_ex(ssl_.get(), piece, sizeof piece, &size) != 1)
    {
      timed_out_ = errno == EAGAIN || errno == EWOULDBLOCK;
      return false;
    }
    buffer_.append(piece, size);
    return true;
  }

private:
  static Answer parse_head(const std::string& head)
  {
    Answer answer;
    answer.status = head.starts_with("HTTP/1.1 ") ? std::atoi(head.substr(9, 3).c_str()) : -1;
    for (auto at = head.find("\r\n") + 2; at < head.size();)
    {
      const auto end = head.find("\r\n", at);
      const auto colon = head.find(": ", at);
      answer.headers[head.substr(at, colon - at)] = head.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    return answer;
  }

  bool read_chunks(Answer& answer)
  {
    while (true)
    {
      std::size_t end = 0;
      while ((end = buffer_.find("\r\n")) == std::string::npos)
      {
        if (!receive())
          return false;
      }
      const auto size = std::strtoull(buffer_.c_str(), nullptr, 16);
      while (buffer_.size() < end + 2 + size + 2)
      {
        if (!receive())
          return false;
      }
      answer.body += buffer_.substr(end + 2, size);
      buffer_.erase(0, end + 2 + size + 2);
      if (size == 0)
        return true;
    }
  }

  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
  int socket_ = -1;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string buffer_;
};
}
