#pragma once

#include "concordat/error.h"

#include <string>

namespace concordat::net
{
struct Address
{
  std::string host; ///< without the brackets of an IPv6 address
  std::string port;
};

/// @param text  host:port, or [host]:port
Result<Address> split_address(const std::string& text);
}
