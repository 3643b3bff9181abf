#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace concordat::base
{
/// The value of a hexadecimal digit of either case; −1 for another character.
int hex_value(char c);

/// Lower-case hexadecimal.
std::string to_hex(std::string_view bytes);
/// Accepts both cases; Error::invalid for an odd length or another character.
Result<std::string> from_hex(std::string_view text);

/// RFC 4648 §4, padded.
std::string to_base64(std::string_view bytes);
/// Padding is required, no white space; Error::invalid otherwise.
Result<std::string> from_base64(std::string_view text);

inline std::string_view as_view(const Digest& digest)
{
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// @param bytes exactly 32 bytes
Result<Digest> to_digest(std::string_view bytes);

/// Appends an unsigned integer in little-endian order.
template <typename T> void append_le(std::string& out, T value)
{
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

/// Appends an unsigned integer in big-endian order.
template <typename T> void append_be(std::string& out, T value)
{
  for (std::size_t i = sizeof(T); i-- > 0;)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

/// Appends a u64 little-endian length and the bytes: `lp` of the ledger format.
inline void append_lp(std::string& out, std::string_view bytes)
{
  append_le<std::uint64_t>(out, bytes.size());
  out.append(bytes);
}

/// Reads integers and fields from bytes that may be anything; never reads past the end.
class Reader
{
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::size_t left() const
  {
    return rest_.size();
  }
  bool done() const
  {
    return rest_.empty();
  }
  std::string_view rest() const
  {
    return rest_;
  }

  Result<std::string_view> take(std::uint64_t size)
  {
    if (size > rest_.size())
      return fail(
          ErrorCode::corrupt, "a field of " + std::to_string(size) + " bytes does not fit into the " +
                                  std::to_string(rest_.size()) + " that are left");
    const auto field = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return field;
  }

  template <typename T> Result<T> le()
  {
    const auto field = take(sizeof(T));
    if (!field)
      return std::unexpected(field.error());
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      value = value << 8 | static_cast<unsigned char>((*field)[i]);
    return static_cast<T>(value);
  }

  template <typename T> Result<T> be()
  {
    const auto field = take(sizeof(T));
    if (!field)
      return std::unexpected(field.error());
    std::uint64_t value = 0;
    for (const char c : *field)
      value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<T>(value);
  }

  /// A u64 little-endian length and that many bytes.
  Result<std::string_view> lp()
  {
    const auto size = le<std::uint64_t>();
    if (!size)
      return std::unexpected(size.error());
    return take(*size);
  }

private:
  std::string_view rest_;
};
}
