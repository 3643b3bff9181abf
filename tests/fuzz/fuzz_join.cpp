#include "base/simulated_files.h"
#include "crypto/certificate.h"
#include "crypto/signing_request.h"
#include "node/fetch_ledger.h"
#include "node/join_message.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace
{
using namespace concordat;

/// What two nodes say to each other when one joins, and the ledger as it arrives: any bytes are safe.
struct Sides
{
  crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  crypto::Certificate service = crypto::self_signed(key, {"CN=service", {}, 0, 10, true}).value();
  ledger::LedgerSecrets secrets{ledger::LedgerSecret(std::string(32, 'k'))};
};

void receive(const Sides& sides, std::string_view bytes)
{
  base::SimulatedFileSystem files{1};
  const auto chunks = ledger::ChunkFiles::open(files, "ledger", sides.secrets).value();
  node::EntryReceiver receiver(*chunks);
  constexpr std::size_t piece = 61;
  while (!bytes.empty() && receiver.take(bytes.substr(0, piece)))
    bytes.remove_prefix(std::min(piece, bytes.size()));
  (void)receiver.finish({{2, 1}, {}});
}
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const Sides sides;
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4)
  {
  case 0:
    // What was understood is written so that it is understood again.
    if (const auto request = node::read_join_request(bytes))
      if (!node::read_join_request(node::write_join_request(*request)))
        std::abort();
    break;
  case 1:
    (void)node::read_join_answer(bytes, sides.service, sides.key.public_key());
    break;
  case 2:
    (void)crypto::SigningRequest::from_pem(bytes);
    break;
  default:
    receive(sides, bytes);
  }
  return 0;
}
