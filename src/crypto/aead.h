#pragma once

#include "concordat/error.h"

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::crypto
{
using Iv = std::array<unsigned char, 12>;
using Tag = std::array<unsigned char, 16>;

/// AES-256-GCM under one key. Any thread may call; each keeps a cipher context of its own for the key last used.
class Aead
{
public:
  /// @param key 32 bytes
  explicit Aead(std::string_view key);

  /// Encrypts `text` in place. An empty text still authenticates `aad`.
  Tag seal(const Iv& iv, std::string_view aad, char* text, std::size_t size) const;

  /// @return the plain text; Error::corrupt when the tag does not verify
  Result<std::string> open(const Iv& iv, std::string_view aad, std::string_view cipher, const Tag& tag) const;

private:
  struct Key;
  std::shared_ptr<const Key> key_;
};
}
