#pragma once

#include <openssl/ssl.h>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::bench
{
struct Target
{
  std::string host;
  std::string port;
};

/// Finds the end of one answer, and its status.
class Answer
{
public:
  /// @return the status once the answer is whole
  std::optional<int> feed(std::string_view bytes)
  {
    buffer_.append(bytes);
    if (body_at_ == 0 && !read_head())
      return std::nullopt;
    if (chunked_ ? !read_chunks() : buffer_.size() < body_at_ + length_)
      return std::nullopt;
    buffer_.clear();
    body_at_ = 0;
    return status_;
  }

private:
  bool read_head()
  {
    const auto end = buffer_.find("\r\n\r\n");
    if (end == std::string::npos || buffer_.size() < 12)
      return false;
    status_ = std::atoi(buffer_.c_str() + 9);
    length_ = 0;
    chunked_ = false;
    for (auto at = buffer_.find("\r\n") + 2; at < end; at = buffer_.find("\r\n", at) + 2)
    {
      const char* const line = buffer_.c_str() + at;
      if (::strncasecmp(line, "content-length:", 15) == 0)
        length_ = std::strtoull(line + 15, nullptr, 10);
      else if (::strncasecmp(line, "transfer-encoding:", 18) == 0)
        chunked_ = true;
    }
    body_at_ = end + 4;
    chunk_at_ = body_at_;
    return true;
  }

  bool read_chunks()
  {
    while (true)
    {
      const auto line_end = buffer_.find("\r\n", chunk_at_);
      if (line_end == std::string::npos)
        return false;
      const auto size = std::strtoull(buffer_.c_str() + chunk_at_, nullptr, 16);
      const auto next = line_end + 2 + size + 2;
      if (buffer_.size() < next)
        return false;
      if (size == 0)
        return true;
      chunk_at_ = next;
    }
  }

  std::string buffer_;
  std::size_t body_at_ = 0;
  std::size_t chunk_at_ = 0;
  std::uint64_t length_ = 0;
  bool chunked_ = false;
  int status_ = 0;
};

/// One keep-alive connection that carries one request at a time. It shares the machine with the server, so it does only
/// what it must.
class Connection
{
public:
  Connection(const Target& target, SSL_CTX* context) : ssl_(SSL_new(context), SSL_free)
  {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(target.host.c_str(), target.port.c_str(), &wanted, &found) != 0)
      return;
    socket_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    usable = socket_ >= 0 && ::connect(socket_, found->ai_addr, found->ai_addrlen) == 0 &&
             SSL_set_fd(ssl_.get(), socket_) == 1 && SSL_connect(ssl_.get()) == 1;
    ::freeaddrinfo(found);
    if (usable)
      ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection()
  {
    ssl_.reset();
    if (socket_ >= 0)
      ::close(socket_);
  }

  int socket() const
  {
    return socket_;
  }

  /// Waits if the kernel takes no more, which only large bodies bring about.
  bool send(std::string_view request)
  {
    std::size_t written = 0;
    while (SSL_write_ex(ssl_.get(), request.data(), request.size(), &written) != 1)
    {
      pollfd writable{socket_, POLLOUT, 0};
      if (SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_WRITE || ::poll(&writable, 1, 10'000) <= 0)
        return false;
    }
    return true;
  }

  /// Call when the socket is readable. @return the status of a whole answer
  std::optional<int> receive()
  {
    static thread_local char piece[64 << 10];
    do
    {
      std::size_t size = 0;
      if (SSL_read_ex(ssl_.get(), piece, sizeof piece, &size) != 1)
      {
        usable = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_READ;
        return std::nullopt;
      }
      if (const auto status = answer_.feed({piece, size}))
        return status;
    } while (SSL_has_pending(ssl_.get()) == 1);
    return std::nullopt;
  }

  bool usable = false;
  std::chrono::steady_clock::time_point since; ///< for its user: when the request was due

private:
  std::shared_ptr<SSL> ssl_;
  int socket_ = -1;
  Answer answer_;
};
}
