#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::crypto
{
/// SHA-256 of the parts one after the other. Algorithms are fetched once and contexts reused per thread.
Digest sha256(std::string_view bytes);
Digest sha256(std::initializer_list<std::string_view> parts);

/// HMAC-SHA256 with a fixed key; computing one costs two compressions more than the message. Any thread may call.
class HmacSha256
{
public:
  explicit HmacSha256(std::string_view key);
  HmacSha256(const HmacSha256&) = default;
  HmacSha256& operator=(const HmacSha256&) = default;
  /// Wipes the states, from which anybody could compute HMACs under the key.
  ~HmacSha256();
  Digest operator()(std::string_view message) const;

private:
  /// States of SHA-256 after the inner and outer pad of the key, as the words lie in memory.
  Digest inner_;
  Digest outer_;
};

/// RFC 5869 with SHA-256.
/// @param size  at most 255 · 32 bytes; CHECKed
std::string hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info, std::size_t size);

/// Cryptographic randomness from OpenSSL.
std::string random_bytes(std::size_t size);

/// Overwrites memory in a way that the compiler does not remove, and leaves the string empty.
void wipe(std::string& secret);
}
