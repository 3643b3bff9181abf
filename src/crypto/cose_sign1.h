#pragma once

#include "crypto/cbor.h"
#include "crypto/keys.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace concordat::crypto
{
/// A COSE_Sign1 message taken apart (RFC 9052 §4.2). The views point into the message.
struct CoseSign1
{
  std::string_view protected_header;       ///< the encoded map, as it was signed
  std::string_view unprotected_header;     ///< the encoded map
  std::optional<std::string_view> payload; ///< nothing if it is detached
  std::string_view signature;

  /// @param message  any bytes; CBOR tag 18 is demanded
  /// @return Error::corrupt saying what is not as it should be
  static Result<CoseSign1> parse(std::string_view message);
};

using CoseLabel = std::variant<std::int64_t, std::string_view>;

/// The labels of a header and their values, not interpreted.
class CoseHeader
{
public:
  static constexpr std::size_t label_limit = 64;

  /// @param encoded  a map as in CoseSign1; no bytes at all are an empty one. What is found points into it.
  /// @return Error::corrupt also for a label that stands there twice and for more than `label_limit`
  static Result<CoseHeader> parse(std::string_view encoded);

  /// Reads the value of the label; nothing if there is none.
  std::optional<CborReader> find(CoseLabel label) const;
  std::size_t size() const
  {
    return values_.size();
  }

private:
  std::vector<std::pair<CoseLabel, std::string_view>> values_;
};

/// The signature of `message` over `payload` (its own, or the detached one) with empty external data. The protected
/// header must name the algorithm of the key's curve.
/// @return Error::corrupt saying what is wrong
Result<void> verify_cose_sign1(const CoseSign1& message, std::string_view payload, const PublicKey& key);

/// A message with tag 18 and an empty unprotected header.
/// @param protected_header  an encoded map that names the algorithm of the key's curve
/// @param attached  false leaves the payload out of the message; it is signed all the same
std::string
make_cose_sign1(const KeyPair& key, std::string_view protected_header, std::string_view payload, bool attached);

/// The algorithm of signatures on a curve (RFC 9053 §2.1): −7, −35 or −36.
std::int64_t cose_algorithm(Curve curve);
}
