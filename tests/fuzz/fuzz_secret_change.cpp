#include "ledger/secret_follower.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// An entry whose public part is the input, as somebody writes it who knows no secret of the ledger.
void follow(std::string_view maps, const ledger::SecretReceiver& receiver)
{
  kv::WriteSet writes;
  if (!kv::decode(maps, kv::Domain::public_maps, writes))
    return;
  const ledger::LedgerSecret theirs(std::string(32, 't'));
  const auto bytes = ledger::encode_entry(theirs, {2, 7}, 0, {}, maps, "").bytes;
  for (const bool known : {false, true})
  {
    ledger::LedgerSecrets secrets(ledger::LedgerSecret(std::string(32, 'k')));
    if (known)
      secrets.add(7, ledger::LedgerSecret(std::string(32, 'l')));
    ledger::SecretFollower follower(secrets, &receiver, known);
    require(!follower.open(ledger::parse_entry(bytes).value(), writes));
    require(!follower.changed());
  }
}
}

/// What says that the ledger's secret changes is read before anybody has authenticated it: any bytes are safe, and
/// change nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const ledger::SecretReceiver receiver{
      "node", crypto::DecryptionKey::from_pem(crypto::generate_rsa().private_pem).value()};
  if (size == 0)
    return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3)
  {
  case 0:
  {
    const auto taken = ledger::unwrap_secret(bytes, 7, receiver);
    require(!taken || !*taken); // nobody has wrapped anything for a key that was made just now
    break;
  }
  case 1:
    // What was understood is written so that it is understood again.
    if (const auto record = ledger::SecretRecord::from_json(bytes))
      require(ledger::SecretRecord::from_json(record->to_json()).has_value());
    break;
  default:
    follow(bytes, receiver);
  }
  return 0;
}
