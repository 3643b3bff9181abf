#include "consensus/presence.h"
#include "node/peer_message.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;
using namespace concordat::node;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

std::string joined(const peer::Payload& payload)
{
  std::string out;
  for (const auto piece : payload.pieces())
    out += piece;
  return out;
}
}

/// What another node sends: the first byte says as what it is read. What is read is written as it came.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 255)
  {
    if (const auto read = consensus::Presence::decode(bytes))
      require(read->encode() == bytes);
  }
  else if (data[0] == 253)
  {
    if (const auto read = AcceptedAbsence::decode(bytes))
      require(joined(read->encode()) == bytes);
  }
  else if (data[0] == 254)
  {
    if (const auto read = NodeAddresses::decode(bytes))
      require(joined(read->encode()) == bytes);
  }
  else if (data[0] % 7 == 0)
  {
    if (const auto read = ConsensusMessage::decode(bytes))
      require(read->encode_head() + std::string(read->batches) == bytes);
  }
  else if (data[0] % 7 == 1)
  {
    if (auto read = ForwardedRequest::decode(bytes))
      require(joined(*std::move(*read).encode()) == bytes);
  }
  else if (data[0] % 7 == 2)
  {
    if (auto read = ForwardedAnswer::decode(bytes))
      require(joined(*std::move(*read).encode()) == bytes);
  }
  else if (data[0] % 7 == 3)
  {
    if (const auto read = ForwardedPlace::decode(bytes))
      require(joined(read->encode()) == bytes);
  }
  else if (data[0] % 7 == 4)
  {
    if (auto read = ForwardedPiece::decode(bytes))
      require(joined(*std::move(*read).encode()) == bytes);
  }
  else if (data[0] % 7 == 5)
  {
    if (const auto read = ForwardedMore::decode(bytes))
      require(joined(read->encode()) == bytes);
  }
  else if (const auto read = NodeUpdate::decode(bytes))
    require(joined(*read->encode()) == bytes);
  return 0;
}
