#include "net/listening.h"

#include "net/address.h"

#include <functional>

namespace concordat::net
{
using boost::asio::ip::tcp;
using boost::system::error_code;

Result<std::string> listen(ListeningSocket& socket, boost::asio::io_context& io, const std::string& address)
{
  const auto parts = split_address(address);
  if (!parts)
    return std::unexpected(parts.error());
  const auto failed = [&](const error_code& ec)
  { return fail(ErrorCode::io, "cannot listen on " + address + ": " + ec.message()); };

  error_code ec;
  tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(parts->host, parts->port, tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty())
    return failed(ec ? ec : error_code(boost::asio::error::host_not_found));
  const tcp::endpoint endpoint = found.begin()->endpoint();
  if (socket.open(endpoint.protocol(), ec); ec)
    return failed(ec);
  if (socket.set_option(tcp::acceptor::reuse_address(true), ec); ec)
    return failed(ec);
  if (socket.bind(endpoint, ec); ec)
    return failed(ec);
  if (socket.listen(boost::asio::socket_base::max_listen_connections, ec); ec)
    return failed(ec);
  if (socket.non_blocking(true, ec); ec)
    return failed(ec);
  auto bound = to_text(socket.local_endpoint(ec));
  if (ec)
    return failed(ec);
  return bound;
}

std::string to_text(const tcp::endpoint& endpoint)
{
  const auto host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

std::uint64_t group_of(const tcp::endpoint& client)
{
  std::string key;
  if (client.address().is_v4())
    key = client.address().to_string();
  else
  {
    const auto bytes = client.address().to_v6().to_bytes();
    key.assign(bytes.begin(), bytes.begin() + 8);
  }
  return std::hash<std::string>{}(key);
}
}
