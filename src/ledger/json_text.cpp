#include "ledger/json_text.h"

#include "base/encoding.h"

namespace concordat::ledger
{
namespace
{
Result<boost::json::value> parse(std::string_view text)
{
  boost::system::error_code error;
  auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  if (error)
    return fail(ErrorCode::corrupt, "not JSON: " + error.message());
  return value;
}
}

Result<boost::json::object> parse_object(std::string_view text)
{
  auto value = parse(text);
  if (!value)
    return std::unexpected(value.error());
  if (!value->is_object())
    return fail(ErrorCode::corrupt, "a JSON object was expected");
  return std::move(value->get_object());
}

Result<std::string> parse_string(std::string_view text)
{
  const auto value = parse(text);
  if (!value)
    return std::unexpected(value.error());
  if (!value->is_string())
    return fail(ErrorCode::corrupt, "a JSON string was expected");
  return std::string(value->get_string());
}

Result<std::string> canonical_base64(std::string_view text)
{
  auto bytes = base::from_base64(text);
  if (bytes && base::to_base64(*bytes) != text)
    return fail(ErrorCode::corrupt, "base64 text whose last character has bits to spare that are not zero");
  return bytes;
}

std::string FieldReader::text(std::string_view name, std::size_t limit)
{
  const auto* const value = object_.if_contains(name);
  if (!value)
    bad(name, "is missing");
  else if (!value->is_string())
    bad(name, "is not a string");
  else if (value->get_string().size() > limit)
    bad(name, "is longer than " + std::to_string(limit) + " bytes");
  else
    return std::string(value->get_string());
  return {};
}

std::optional<std::string> FieldReader::optional_text(std::string_view name, std::size_t limit)
{
  return has(name) ? std::optional(text(name, limit)) : std::nullopt;
}

std::uint64_t FieldReader::number(std::string_view name)
{
  const auto* const value = object_.if_contains(name);
  if (!value)
    bad(name, "is missing");
  else if (value->is_uint64())
    return value->get_uint64();
  else if (value->is_int64() && value->get_int64() >= 0)
    return static_cast<std::uint64_t>(value->get_int64());
  else
    bad(name, "is not a whole number from 0 on");
  return 0;
}

Digest FieldReader::digest(std::string_view name)
{
  const auto hex = text(name, 2 * std::tuple_size_v<Digest>);
  const auto bytes = base::from_hex(hex);
  const auto digest = bytes ? base::to_digest(*bytes) : fail(ErrorCode::corrupt, "");
  if (digest && base::to_hex(*bytes) == hex)
    return *digest;
  bad(name, "is not 32 bytes in lower-case hexadecimal");
  return {};
}

std::string FieldReader::base64(std::string_view name, std::size_t limit)
{
  auto bytes = canonical_base64(text(name, limit));
  if (bytes)
    return std::move(*bytes);
  bad(name, "is not base64");
  return {};
}

Result<void> FieldReader::result() const
{
  if (error_)
    return std::unexpected(*error_);
  return {};
}

void FieldReader::bad(std::string_view name, std::string_view what)
{
  if (!error_)
    error_ = Error{ErrorCode::corrupt, "field '" + std::string(name) + "' " + std::string(what), nullptr};
}
}
