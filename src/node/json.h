#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace concordat::node
{
/// Compact JSON with the keys of every object in ascending byte order, as stored values and answers have them.
std::string to_canonical_json(const boost::json::value& value);

/// "line 3, column 7" of a position in a text, both from 1; a column is a byte.
std::string place_in(std::string_view text, std::size_t position);

/// Parses bytes from outside, nested at most 32 deep. Error::invalid says what is wrong and where.
Result<boost::json::value> parse_json(std::string_view text);

/// The first key that an object has twice, which most readers take for one of the two in silence.
/// @param text is JSON
/// @return what is wrong and where; nothing if every key is there once
std::optional<std::string> twice_named_key(std::string_view text);

/// Takes out every member of an object that is null, at any depth.
void remove_nulls(boost::json::value& value);

/// The JSON object at a key of a table; nothing if there is none. What the node stored itself is always JSON.
std::optional<boost::json::object> read_object(ReadTransaction& state, std::string_view table, std::string_view key);

/// A string member; empty if it is absent or no string.
std::string string_member(const boost::json::object& object, std::string_view name);
}
