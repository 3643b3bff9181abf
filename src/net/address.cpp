#include "net/address.h"

#include <algorithm>

namespace concordat::net
{
Result<Address> split_address(const std::string& text)
{
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return fail(ErrorCode::invalid, "'" + text + "' is not an address of the form host:port");
  Address address{text.substr(0, colon), text.substr(colon + 1)};
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']')
    address.host = address.host.substr(1, address.host.size() - 2);
  else if (address.host.find(':') != std::string::npos)
    return fail(ErrorCode::invalid, "'" + text + "': an IPv6 address is written in brackets, as in [::1]:8000");
  const bool is_number =
      !address.port.empty() && address.port.size() <= 5 &&
      std::all_of(address.port.begin(), address.port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || std::stoul(address.port) > 65535)
    return fail(ErrorCode::invalid, "'" + text + "' does not end in a port between 0 and 65535");
  return address;
}
}
