#include "peer/wire.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace concordat::peer
{
using boost::system::error_code;

namespace
{
constexpr std::size_t record_size = std::size_t{16} << 10; ///< RFC 8446 §5.1
/// The output's front is cut off when so much of it has been sent, and not with every call.
constexpr std::size_t cut_size = std::size_t{64} << 10;

bool must_wait()
{
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}
}

Wire::Wire(net::Socket socket, const net::SslContext& context, net::TlsStream::Side side)
    : socket_(std::move(socket)),
      handle_(socket_->native_handle()),
      tls_(context, side)
{
  error_code ec;
  socket_->non_blocking(true, ec);
  socket_->set_option(boost::asio::ip::tcp::no_delay(true), ec);
}

Wire::~Wire()
{
  close();
}

bool Wire::detach()
{
  error_code ec;
  (void)socket_->release(ec);
  if (ec)
    return false;
  socket_.reset();
  return true;
}

bool Wire::attach(boost::asio::io_context& io)
{
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(handle_, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return false;
  const auto protocol = own.ss_family == AF_INET6 ? boost::asio::ip::tcp::v6() : boost::asio::ip::tcp::v4();
  error_code ec;
  net::Socket attached(io);
  attached.assign(protocol, handle_, ec);
  if (ec)
    return false;
  socket_.emplace(std::move(attached));
  socket_->non_blocking(true, ec);
  return !ec;
}

template <typename Step> Wire::Status Wire::run(Step step)
{
  while (true)
  {
    switch (step())
    {
    case net::TlsStream::Status::ok:
      return Status::ok;
    case net::TlsStream::Status::closed:
      return Status::closed;
    case net::TlsStream::Status::failed:
      return Status::failed;
    case net::TlsStream::Status::want_more:
      break;
    }
    const auto size = ::recv(handle_, received_.data(), received_.size(), 0);
    if (size < 0)
      return must_wait() ? Status::wait : Status::failed;
    if (size == 0)
      return Status::failed;
    tls_.feed({received_.data(), static_cast<std::size_t>(size)});
  }
}

Wire::Status Wire::handshake()
{
  return run([this] { return tls_.handshake(); });
}

Wire::Status Wire::read(char* to, std::size_t capacity, std::size_t& size)
{
  return run([&] { return tls_.read(to, capacity, size); });
}

bool Wire::write(std::string_view plaintext)
{
  records_ += (plaintext.size() + record_size - 1) / record_size;
  if (records_ > records_per_key_)
  {
    records_ = 0;
    ++keys_renewed_;
    if (!tls_.renew_key())
      return false;
  }
  return tls_.write(plaintext);
}

Wire::Status Wire::flush()
{
  auto& output = tls_.output();
  while (sent_ < output.size())
  {
    const auto size = ::send(handle_, output.data() + sent_, output.size() - sent_, MSG_NOSIGNAL);
    if (size < 0 && must_wait())
    {
      if (sent_ >= cut_size)
        output.erase(0, std::exchange(sent_, 0));
      return Status::wait;
    }
    if (size <= 0)
      return Status::failed;
    sent_ += static_cast<std::size_t>(size);
    total_sent_ += static_cast<std::uint64_t>(size);
  }
  output.clear();
  sent_ = 0;
  return Status::ok;
}

void Wire::give_up_after(std::chrono::milliseconds time)
{
  const auto limit = static_cast<unsigned>(time.count());
  // Where the system does not let it, nothing changes but for how soon a dead connection is noticed.
  (void)::setsockopt(handle_, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

void Wire::when_readable(std::function<void()> then)
{
  socket_->async_wait(
      net::Socket::wait_read,
      [then = std::move(then)](const error_code& ec)
      {
        if (ec != boost::asio::error::operation_aborted)
          then();
      });
}

void Wire::when_writable(std::function<void()> then)
{
  socket_->async_wait(
      net::Socket::wait_write,
      [then = std::move(then)](const error_code& ec)
      {
        if (ec != boost::asio::error::operation_aborted)
          then();
      });
}

void Wire::close()
{
  if (handle_ < 0)
    return;
  // What was to be said last, as far as it goes.
  tls_.close_notify();
  (void)flush();
  error_code ec;
  if (socket_)
    socket_->close(ec);
  else
    ::close(handle_);
  handle_ = -1;
}
}
