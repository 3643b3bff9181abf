#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <boost/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// Of a certificate's text; far above what anyone issues.
inline constexpr std::size_t max_cert = std::size_t{64} << 10;

/// Parses a JSON object of any origin; Error::corrupt for anything else.
Result<boost::json::object> parse_object(std::string_view text);

/// Parses a JSON string; Error::corrupt for anything else.
Result<std::string> parse_string(std::string_view text);

/// Decodes base64 as to_base64 writes it: two texts never stand for the same bytes.
Result<std::string> canonical_base64(std::string_view text);

/// Reads members of an object one after the other and remembers the first that was not as demanded.
/// What a function returns means something only if `result()` is good in the end.
class FieldReader
{
public:
  explicit FieldReader(const boost::json::object& object) : object_(object) {}

  /// A text of at most `limit` bytes.
  std::string text(std::string_view name, std::size_t limit);
  /// Nothing if there is no such member.
  std::optional<std::string> optional_text(std::string_view name, std::size_t limit);
  /// An integer ≥ 0.
  std::uint64_t number(std::string_view name);
  /// 32 bytes in lower-case hex.
  Digest digest(std::string_view name);
  /// Bytes in base64, whose text has at most `limit` bytes.
  std::string base64(std::string_view name, std::size_t limit);

  bool has(std::string_view name) const
  {
    return object_.contains(name);
  }
  /// Error::corrupt naming the first bad member.
  Result<void> result() const;

private:
  void bad(std::string_view name, std::string_view what);

  const boost::json::object& object_;
  std::optional<Error> error_;
};
}
