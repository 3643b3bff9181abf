#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "peer/channel.h"
#include "peer/refusal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::peer
{
/// The versions of the protocol that a node speaks, both included.
struct VersionRange
{
  std::uint16_t min = 1;
  std::uint16_t max = 1;

  bool operator==(const VersionRange&) const = default;

  /// `<min>-<max>`, decimal, 1 to 65535; Error::invalid for anything else.
  static Result<VersionRange> parse(std::string_view text);
};

/// @return the newest version that both speak; nothing if there is none
std::optional<std::uint16_t> negotiate(const VersionRange& one, const VersionRange& other);

/// The first thing that the node that dials says, inside TLS. Its form outlives versions: later ones add at the end,
/// and who does not know what was added ignores it.
///
/// Wire: 8 bytes of magic, u16 length of what follows, u8 1, u16 min, u16 max, u8 lane, 4 × 32 bytes. Little-endian.
struct Hello
{
  VersionRange versions;
  Lane lane = Lane::urgent;
  Digest service{}; ///< SHA-256 of the service's public key in DER
  Digest from{};
  Digest to{};
  /// Of the TLS connection (`TlsStream::exported`), so that a hello is worth nothing on any other.
  Digest binding{};

  bool operator==(const Hello&) const = default;
  std::string encode() const;
};

/// What is said to a hello. Nothing else follows on this way of the connection.
///
/// Wire: magic and length as of a hello, u8 2, u8 refusal, u16 version, 32 bytes.
struct Answer
{
  Refusal refusal = Refusal::none;
  std::uint16_t version = 0; ///< of the protocol, from now on; 0 with a refusal
  Digest service{};          ///< as in the hello

  bool operator==(const Answer&) const = default;
  std::string encode() const;
};

/// More bytes than these are no greeting.
constexpr std::size_t greeting_limit = 1024;

/// Reads a greeting out of all that was received up to now.
/// @return nothing if more bytes are needed; Error::invalid if it cannot become one, or if something follows it
Result<std::optional<Hello>> read_hello(std::string_view received);
Result<std::optional<Answer>> read_answer(std::string_view received);
}
