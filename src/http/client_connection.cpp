#include "http/client_connection.h"

#include "http/socket_bio.h"
#include "net/address.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace concordat::http
{
namespace
{
using SslPtr = std::unique_ptr<SSL, decltype(&SSL_free)>;

/// Closes a socket that was not handed on.
class SocketGuard
{
public:
  explicit SocketGuard(int socket) : socket_(socket) {}
  SocketGuard(const SocketGuard&) = delete;
  SocketGuard& operator=(const SocketGuard&) = delete;
  ~SocketGuard()
  {
    if (socket_ >= 0)
      ::close(socket_);
  }
  int get() const
  {
    return socket_;
  }
  int release()
  {
    return std::exchange(socket_, -1);
  }

private:
  int socket_;
};

int as_poll_timeout(std::uint64_t timeout_ms)
{
  return static_cast<int>(std::min<std::uint64_t>(timeout_ms, std::numeric_limits<int>::max()));
}

/// @return false when the time is over
bool wait_for(int socket, short events, std::uint64_t timeout_ms)
{
  pollfd poll_for{socket, events, 0};
  int ready = 0;
  do
    ready = ::poll(&poll_for, 1, as_poll_timeout(timeout_ms));
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

std::string seconds(std::uint64_t timeout_ms)
{
  return std::to_string(timeout_ms) + " ms";
}

/// Repeats an SSL call until it needs no more waiting. @return its SSL error code, or nothing on timeout
template <typename Step> std::optional<int> drive(SSL* ssl, int socket, std::uint64_t timeout_ms, Step step)
{
  while (true)
  {
    ERR_clear_error();
    errno = 0;
    const int result = step();
    if (result == 1)
      return SSL_ERROR_NONE;
    const int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
      return error;
    if (!wait_for(socket, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, timeout_ms))
      return std::nullopt;
  }
}

std::string broken(int ssl_error)
{
  if (ssl_error == SSL_ERROR_SYSCALL && errno != 0)
    return std::strerror(errno);
  if (ssl_error == SSL_ERROR_SYSCALL || ssl_error == SSL_ERROR_ZERO_RETURN)
    return "the server closed the connection";
  return net::take_openssl_error();
}

bool is_ip_address(const std::string& host)
{
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

/// What a person can do something about.
std::string describe_verification(long code, const std::string& host)
{
  switch (code)
  {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "the certificate served is not for '" + host + "'";
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "the certificate served, or the service certificate given, has expired";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "the certificate served, or the service certificate given, is not valid yet";
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    return "the certificate served is not issued by the service certificate given";
  default:
    return std::string("the certificate served cannot be trusted: ") + X509_verify_cert_error_string(code);
  }
}

Result<void> trust_only(SSL_CTX* context, const std::string& certificate_pem)
{
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (!certificate)
    return fail(
        ErrorCode::invalid, "the service certificate is not a certificate in PEM form: " + net::take_openssl_error());
  if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) != 1)
    return fail(ErrorCode::internal, "the service certificate cannot be used: " + net::take_openssl_error());
  return {};
}

Result<net::SslContext> make_client_context(const ClientOptions& options)
{
  net::SslContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context)
    return fail(ErrorCode::internal, "cannot make a TLS context: " + net::take_openssl_error());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  // The certificate that is given is the anchor, whether it signed itself or not.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
  if (SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), "P-256:P-384:P-521:X25519") != 1)
    return fail(ErrorCode::internal, "OpenSSL refuses the TLS settings: " + net::take_openssl_error());
  if (auto trusted = trust_only(context.get(), options.service_certificate_pem); !trusted)
    return std::unexpected(trusted.error());
  if (options.certificate_pem.has_value() != options.private_key_pem.has_value())
    return fail(ErrorCode::invalid, "a client certificate needs its private key, and the key its certificate");
  if (options.certificate_pem)
  {
    if (auto used = net::use_identity(*context, *options.certificate_pem, *options.private_key_pem); !used)
      return std::unexpected(used.error());
  }
  return context;
}
}

ClientConnection::ClientConnection(int socket, SSL* ssl, std::uint64_t timeout_ms)
    : socket_(socket),
      ssl_(ssl),
      timeout_ms_(timeout_ms)
{
}

ClientConnection::~ClientConnection()
{
  ERR_clear_error();
  SSL_shutdown(ssl_);
  SSL_free(ssl_);
  ::close(socket_);
}

bool ClientConnection::is_idle()
{
  ERR_clear_error();
  char byte = 0;
  std::size_t size = 0;
  return SSL_peek_ex(ssl_, &byte, 1, &size) != 1 && SSL_get_error(ssl_, 0) == SSL_ERROR_WANT_READ;
}

Result<void> ClientConnection::write(std::string_view bytes)
{
  while (!bytes.empty())
  {
    std::size_t size = 0;
    const auto error =
        drive(ssl_, socket_, timeout_ms_, [&] { return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &size); });
    if (!error)
      return fail(ErrorCode::unavailable, "the server took nothing for " + seconds(timeout_ms_));
    if (*error != SSL_ERROR_NONE)
      return fail(ErrorCode::unavailable, broken(*error));
    bytes.remove_prefix(size);
  }
  return {};
}

Result<void> ClientConnection::read(std::string& piece)
{
  piece.resize(64 << 10);
  std::size_t size = 0;
  const auto error =
      drive(ssl_, socket_, timeout_ms_, [&] { return SSL_read_ex(ssl_, piece.data(), piece.size(), &size); });
  piece.resize(error == SSL_ERROR_NONE ? size : 0);
  if (!error)
    return fail(ErrorCode::unavailable, "the server sent nothing for " + seconds(timeout_ms_));
  if (*error != SSL_ERROR_NONE && *error != SSL_ERROR_ZERO_RETURN)
    return fail(ErrorCode::unavailable, broken(*error));
  return {};
}

Result<std::unique_ptr<ClientConnector>> ClientConnector::create(ClientOptions options)
{
  constexpr std::string_view scheme = "https://";
  auto connector = std::make_unique<ClientConnector>();
  std::string address = options.url;
  if (!address.starts_with(scheme))
    return fail(ErrorCode::invalid, "'" + options.url + "' is not an address of the form https://host:port");
  address.erase(0, scheme.size());
  if (address.ends_with('/'))
    address.pop_back();
  const auto parts = net::split_address(address);
  if (!parts)
    return std::unexpected(parts.error());
  connector->host_ = parts->host;
  connector->port_ = parts->port;
  connector->host_and_port_ = address;
  auto context = make_client_context(options);
  if (!context)
    return std::unexpected(context.error());
  connector->context_ = std::move(*context);
  connector->options_ = std::move(options);
  return connector;
}

Result<int> ClientConnector::open_socket() const
{
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host_.c_str(), port_.c_str(), &wanted, &found); code != 0)
    return fail(ErrorCode::unavailable, "cannot connect to " + host_and_port_ + ": " + ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);

  std::string reason = "it has no address";
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next)
  {
    SocketGuard socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int descriptor = socket.get();
    int error = descriptor < 0 || ::connect(descriptor, address->ai_addr, address->ai_addrlen) != 0 ? errno : 0;
    if (error == EINPROGRESS)
    {
      socklen_t size = sizeof error;
      if (!wait_for(descriptor, POLLOUT, options_.timeout_ms))
        error = ETIMEDOUT;
      else if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    }
    if (error == 0)
    {
      const int on = 1;
      ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return socket.release();
    }
    reason = std::strerror(error);
  }
  reason.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(reason.front())));
  return fail(ErrorCode::unavailable, "cannot connect to " + host_and_port_ + ": " + reason);
}

Result<void> ClientConnector::shake_hands(int socket, SSL* ssl) const
{
  const bool is_ip = is_ip_address(host_);
  X509_VERIFY_PARAM* const check = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool set = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(check, host_.c_str()) == 1
                         : X509_VERIFY_PARAM_set1_host(check, host_.c_str(), host_.size()) == 1 &&
                               SSL_set_tlsext_host_name(ssl, host_.c_str()) == 1;
  BIO* const bio = new_socket_bio(socket);
  if (bio != nullptr)
    SSL_set_bio(ssl, bio, bio);
  if (!set || bio == nullptr)
    return fail(ErrorCode::internal, "cannot prepare a TLS connection: " + net::take_openssl_error());

  const auto error = drive(ssl, socket, options_.timeout_ms, [&] { return SSL_connect(ssl); });
  const std::string where = "no TLS connection to " + host_and_port_ + ": ";
  if (!error)
    return fail(ErrorCode::unavailable, where + "the server did not go on for " + seconds(options_.timeout_ms));
  if (*error == SSL_ERROR_NONE)
    return {};
  if (const long verified = SSL_get_verify_result(ssl); verified != X509_V_OK)
    return fail(ErrorCode::denied, where + describe_verification(verified, host_));
  return fail(ErrorCode::unavailable, where + broken(*error));
}

Result<std::unique_ptr<ClientConnection>> ClientConnector::connect() const
{
  const auto opened = open_socket();
  if (!opened)
    return std::unexpected(opened.error());
  SocketGuard socket(*opened);
  SslPtr ssl(SSL_new(context_.get()), SSL_free);
  if (!ssl)
    return fail(ErrorCode::internal, "cannot make a TLS connection: " + net::take_openssl_error());
  if (auto done = shake_hands(*opened, ssl.get()); !done)
    return std::unexpected(done.error());
  return std::make_unique<ClientConnection>(socket.release(), ssl.release(), options_.timeout_ms);
}
}
