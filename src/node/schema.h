#pragma once

#include "concordat/error.h"

#include <boost/json/value.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::node
{
/// What a value of the configuration file must be.
struct Rule
{
  enum class Kind
  {
    text,
    path,    ///< of a file or directory: a text that is not empty
    address, ///< host:port, or [host]:port
    boolean,
    count,    ///< a whole number from `least` to `most`
    size,     ///< "5MB": number and B, KB, MB, GB, TB or PB, powers of 1024
    duration, ///< "100ms": number and us, ms, s, min or h
    choice,   ///< one of `choices`
    object,   ///< with the members `members`, and no others
    named,    ///< an object with any names, each value as `members[0]`
    list,     ///< each element as `members[0]`
    anything,
  };
  std::string_view name;
  Kind kind = Kind::text;
  bool required = false;
  std::vector<std::string_view> choices = {};
  std::vector<Rule> members = {};
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int32_t>::max();
};

/// Checks a value against a rule. A member that is null counts as absent.
/// @return Error::invalid with the path of the wrong or unknown key, such as `network.rpc_interfaces.main.bind_address`
Result<void> check_against(const Rule& rule, const boost::json::value& value, const std::string& path);

/// @return bytes; Error::invalid if the text is not a number with a unit, or is larger than 2^63
Result<std::uint64_t> parse_size(std::string_view text);
/// @return microseconds
Result<std::uint64_t> parse_duration(std::string_view text);
}
