#include "http/acceptor.h"

#include "base/log.h"
#include "http/address.h"

#include <chrono>

namespace concordat::http
{
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace
{
/// Connections in a row before others on the thread have their turn.
constexpr unsigned turn_limit = 64;
/// How long to wait when the process has no descriptors or memory left: the queue of the kernel keeps the clients.
constexpr auto pause_length = std::chrono::milliseconds(100);

std::string to_text(const tcp::endpoint& endpoint)
{
  const auto host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}
}

Acceptor::Acceptor(std::shared_ptr<InterfaceState> interface, const std::vector<std::unique_ptr<Worker>>& workers)
    : interface_(std::move(interface)),
      workers_(workers),
      acceptor_(workers.front()->io()),
      pause_(workers.front()->io())
{
}

Result<void> Acceptor::listen(const std::string& address)
{
  const auto parts = split_address(address);
  if (!parts)
    return std::unexpected(parts.error());
  const auto failed = [&](const error_code& ec)
  {
    return fail(
        ErrorCode::io, "cannot listen on " + address + " for interface '" + interface_->name + "': " + ec.message());
  };

  error_code ec;
  tcp::resolver resolver(workers_.front()->io());
  const auto found =
      resolver.resolve(parts->host, parts->port, tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty())
    return failed(ec ? ec : error_code(asio::error::host_not_found));
  const tcp::endpoint endpoint = found.begin()->endpoint();
  if (acceptor_.open(endpoint.protocol(), ec); ec)
    return failed(ec);
  if (acceptor_.set_option(tcp::acceptor::reuse_address(true), ec); ec)
    return failed(ec);
  if (acceptor_.bind(endpoint, ec); ec)
    return failed(ec);
  if (acceptor_.listen(asio::socket_base::max_listen_connections, ec); ec)
    return failed(ec);
  if (acceptor_.non_blocking(true, ec); ec)
    return failed(ec);
  interface_->address = to_text(acceptor_.local_endpoint(ec));
  if (ec)
    return failed(ec);
  return {};
}

void Acceptor::start()
{
  acceptor_.async_wait(
      tcp::acceptor::wait_read,
      [self = shared_from_this()](const error_code& ec)
      {
        if (!ec && self->acceptor_.is_open())
          self->accept_all();
      });
}

void Acceptor::close()
{
  error_code ec;
  acceptor_.close(ec);
  pause_.cancel();
}

void Acceptor::accept_all()
{
  for (unsigned i = 0; i < turn_limit; ++i)
  {
    if (!accept_one())
      return;
  }
  start();
}

/// @return false when there is nothing to accept now; the next call is arranged for then
bool Acceptor::accept_one()
{
  Worker& worker = *workers_[next_ % workers_.size()];
  error_code ec;
  auto socket = acceptor_.accept(worker.io(), ec);
  if (ec == asio::error::would_block)
  {
    start();
    return false;
  }
  if (ec == asio::error::connection_aborted)
    return true;
  if (ec)
  {
    spdlog::warn("cannot accept connections on {} for now: {}", interface_->address, ec.message());
    pause_.expires_after(pause_length);
    pause_.async_wait(
        [self = shared_from_this()](const error_code& cancelled)
        {
          if (!cancelled && self->acceptor_.is_open())
            self->start();
        });
    return false;
  }
  // Beyond the hard cap the socket is closed by leaving its scope.
  if (auto slot = SessionSlot::take(interface_))
  {
    worker.adopt(std::move(socket), std::move(*slot));
    ++next_;
  }
  return true;
}
}
