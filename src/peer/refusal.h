#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace concordat::peer
{
/// Why a connection was refused or ended. Those up to `last_on_the_wire` are told to the other side, by their number.
enum class Refusal : std::uint8_t
{
  none = 0,
  malformed = 1,   ///< what should have been a hello was none
  version = 2,     ///< no version of the protocol that both speak
  certificate = 3, ///< not endorsed by the service
  service = 4,     ///< another service
  sender = 5,      ///< not the node that the certificate is for
  recipient = 6,   ///< meant for another node
  binding = 7,     ///< a hello of another connection
  membership = 8,  ///< no node of this service that may speak

  handshake = 9, ///< TLS did not come about
  time = 10,     ///< too slow, or silent for too long
  crowded = 11,  ///< too many connections that nobody knows yet
  frames = 12,   ///< what came after the hello was no message within the limits
};
constexpr auto last_on_the_wire = Refusal::membership;
constexpr std::size_t refusal_count = 13;

/// The end of a sentence: "its certificate is not endorsed by this service".
std::string describe(Refusal reason);
}
