#pragma once

#include "concordat/error.h"
#include "net/socket.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>

namespace concordat::net
{
/// Binds and listens, without waiting in `accept`.
/// @param address  host:port, or [host]:port; port 0 takes any
/// @return the address that was bound; Error::io naming the address that cannot be, Error::invalid if it is none
Result<std::string> listen(ListeningSocket& socket, boost::asio::io_context& io, const std::string& address);

/// host:port, or [host]:port
std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint);

/// Tells clients of different addresses apart, as a group of waiting rooms. Who has one address of an IPv6 network has
/// them all.
std::uint64_t group_of(const boost::asio::ip::tcp::endpoint& client);
}
