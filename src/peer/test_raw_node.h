#pragma once

#include "base/check.h"
#include "base/encoding.h"
#include "net/address.h"
#include "peer/frames.h"
#include "peer/test_network.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace concordat::peer::test
{
/// The other end of a connection, which says what the test wants, blocking, for ten seconds at most, and shares neither
/// TLS nor sockets with the module.
class RawNode
{
public:
  /// Calls a node. @param from  of 127/8, in the machine's byte order
  explicit RawNode(const std::string& address, in_addr_t from = INADDR_LOOPBACK) : socket_(new_socket())
  {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(from);
    CHECK(::bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0, "all of 127/8 is this machine");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(net::split_address(address)->port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0, "the node under test listens");
  }
  explicit RawNode(int accepted) : socket_(accepted) {}
  RawNode(RawNode&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        context_(std::move(other.context_)),
        ssl_(std::move(other.ssl_))
  {
  }
  RawNode& operator=(RawNode&&) = delete;
  ~RawNode()
  {
    ssl_.reset();
    if (socket_ >= 0)
      ::close(socket_);
  }

  static int new_socket()
  {
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    CHECK(made >= 0, "a test has descriptors");
    set_limits(made);
    return made;
  }
  static void set_limits(int socket)
  {
    const timeval limit{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }

  /// @param identity  null: shows no certificate
  bool handshake(const Identity* identity, bool as_server = false, int version = TLS1_3_VERSION)
  {
    context_ = {SSL_CTX_new(TLS_method()), SSL_CTX_free};
    SSL_CTX_set_max_proto_version(context_.get(), version);
    if (as_server)
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    if (identity != nullptr)
      CHECK(net::use_identity(*context_, identity->certificate_pem, identity->private_key_pem), "made by the test");
    ssl_ = {SSL_new(context_.get()), SSL_free};
    SSL_set_fd(ssl_.get(), socket_);
    return (as_server ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get())) == 1;
  }

  Digest binding() const
  {
    constexpr std::string_view label = "EXPORTER-concordat-node-to-node";
    Digest bytes{};
    SSL_export_keying_material(ssl_.get(), bytes.data(), bytes.size(), label.data(), label.size(), nullptr, 0, 0);
    return bytes;
  }
  /// What a node would say that has these keys.
  Hello hello(const TestNodeKeys& from, const NodeId& to, const TestService& service, Lane lane = Lane::urgent) const
  {
    Hello made;
    made.lane = lane;
    made.service = service_digest(service.keys());
    made.from = *to_wire(from.id());
    made.to = *to_wire(to);
    made.binding = binding();
    return made;
  }
  /// Says hello as it should be. @return whether it was welcome
  bool enter(const TestNodeKeys& keys, const NodeId& to, const TestService& service, Lane lane = Lane::urgent)
  {
    if (!handshake(&keys.identity) || !send(hello(keys, to, service, lane).encode()))
      return false;
    const auto answer = read_reply();
    return answer && answer->refusal == Refusal::none;
  }

  bool send(std::string_view bytes)
  {
    std::size_t size = 0;
    return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1;
  }
  bool send_message(std::uint16_t kind, const std::string& bytes)
  {
    Cutter cutter(kind, Payload(bytes));
    std::string frames;
    while (!cutter.done())
      cutter.append_to(frames);
    return send(frames);
  }
  bool send_raw(std::string_view bytes)
  {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  std::optional<Answer> read_reply()
  {
    std::string bytes;
    while (true)
    {
      const auto answer = read_answer(bytes);
      if (!answer)
        return std::nullopt;
      if (*answer)
        return **answer;
      const auto more = read_some();
      if (!more)
        return std::nullopt;
      bytes += *more;
    }
  }
  std::optional<Hello> read_call()
  {
    std::string bytes;
    while (true)
    {
      const auto hello = read_hello(bytes);
      if (!hello)
        return std::nullopt;
      if (*hello)
        return **hello;
      const auto more = read_some();
      if (!more)
        return std::nullopt;
      bytes += *more;
    }
  }
  std::optional<std::string> read_some()
  {
    char piece[4096];
    std::size_t size = 0;
    if (SSL_read_ex(ssl_.get(), piece, sizeof piece, &size) != 1)
      return std::nullopt;
    return std::string(piece, size);
  }
  /// True if the other side ends the connection within ten seconds, whatever it says before.
  bool is_closed()
  {
    char piece[4096];
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (true)
    {
      const auto size = ::recv(socket_, piece, sizeof piece, 0);
      if (size > 0 && std::chrono::steady_clock::now() > end)
        return false;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
      if (size <= 0)
        return true;
    }
  }
  /// Nothing that came says that the other side has ended it. Does not wait.
  bool is_open() const
  {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0;
  }

private:
  int socket_;
  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
};

/// Something that listens where a node should.
class RawListener
{
public:
  RawListener() : socket_(RawNode::new_socket())
  {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    CHECK(::bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0, "some port is free");
    CHECK(::listen(socket_, 64) == 0, "a bound socket listens");
    CHECK(::getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &size) == 0, "it has a name");
    address_ = "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  ~RawListener()
  {
    ::close(socket_);
  }

  const std::string& address() const
  {
    return address_;
  }
  std::optional<RawNode> accept()
  {
    const int accepted = ::accept(socket_, nullptr, nullptr);
    if (accepted < 0)
      return std::nullopt;
    RawNode::set_limits(accepted);
    return RawNode(accepted);
  }
  /// Takes calls until one is for this lane, and answers it as the node should that was called.
  std::optional<RawNode> welcome(const TestNodeKeys& keys, const TestService& service, Lane lane, Hello* said = nullptr)
  {
    while (auto node = accept())
    {
      if (!node->handshake(&keys.identity, true))
        continue;
      const auto hello = node->read_call();
      if (!hello || hello->lane != lane)
        continue;
      if (said != nullptr)
        *said = *hello;
      if (!node->send(Answer{Refusal::none, 1, service_digest(service.keys())}.encode()))
        return std::nullopt;
      return node;
    }
    return std::nullopt;
  }

private:
  int socket_;
  std::string address_;
};
}
