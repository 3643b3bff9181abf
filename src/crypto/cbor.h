#pragma once

#include "concordat/error.h"

#include <cstdint>
#include <string>
#include <string_view>

/// The part of CBOR (RFC 8949) that COSE messages need: integers of 64 bits, byte and text strings, arrays, maps, tags
/// and null, with definite lengths. Floating-point numbers and other simple values can be skipped, not read.
namespace concordat::crypto
{
/// Major types of RFC 8949 §3.1.
enum class CborType : std::uint8_t
{
  positive = 0,
  negative = 1,
  bytes = 2,
  text = 3,
  array = 4,
  map = 5,
  tag = 6,
  simple = 7,
};

/// Appends items in the deterministic encoding of RFC 8949 §4.2.1; the order of a map's keys is the caller's.
class CborWriter
{
public:
  CborWriter& integer(std::int64_t value);
  CborWriter& bytes(std::string_view value);
  CborWriter& text(std::string_view value);
  /// `count` items follow.
  CborWriter& array(std::uint64_t count);
  /// `count` keys, each followed by its value, follow.
  CborWriter& map(std::uint64_t count);
  CborWriter& tag(std::uint64_t number);
  CborWriter& null();

  const std::string& encoded() const
  {
    return encoded_;
  }

private:
  CborWriter& head(CborType type, std::uint64_t argument);

  std::string encoded_;
};

/// Reads one item after the other from bytes that may be anything. Used by one thread; what it returns points into
/// those bytes. Every error is Error::corrupt and names the offset; after one, the reader stands where it stood.
class CborReader
{
public:
  /// How deep arrays, maps and tags may lie in each other where a whole item is skipped.
  static constexpr unsigned depth_limit = 16;

  explicit CborReader(std::string_view encoded) : all_(encoded) {}

  bool done() const
  {
    return at_ == all_.size();
  }
  /// The type of the next item.
  Result<CborType> peek() const;

  /// Error::corrupt for a number below −2^63 or above 2^63 − 1.
  Result<std::int64_t> integer();
  Result<std::string_view> bytes();
  /// Error::corrupt unless it is UTF-8.
  Result<std::string_view> text();
  /// The number of items that follow: never more than there are bytes left.
  Result<std::uint64_t> array();
  /// The number of pairs that follow: never more than half the bytes left.
  Result<std::uint64_t> map();
  Result<std::uint64_t> tag();
  Result<void> null();
  /// The encoded form of the next item, whatever it is.
  Result<std::string_view> item();

private:
  struct Head
  {
    CborType type;
    std::uint8_t detail; ///< the lower five bits of the first byte
    std::uint64_t argument;
    std::size_t size;
  };

  std::unexpected<Error> wrong(const std::string& why) const;
  Result<Head> head() const;
  Result<Head> head_of(CborType type, const char* name) const;
  Result<std::string_view> string(CborType type, const char* name);
  Result<void> skip(unsigned depth);

  std::string_view all_;
  std::size_t at_ = 0;
};

/// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
}
