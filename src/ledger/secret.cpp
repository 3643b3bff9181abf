#include "ledger/secret.h"

#include "base/check.h"
#include "base/encoding.h"

#include <utility>

namespace concordat::ledger
{
namespace
{
std::string checked(std::string raw)
{
  CHECK(
      raw.size() == LedgerSecret::size,
      "a ledger secret is 32 bytes; whoever reads one from outside checks that first");
  return raw;
}

/// Exactly these eight bytes are the label that existing ledgers depend on (ledger-format.md §5).
crypto::HmacSha256 commit_nonce_of(const std::string& raw)
{
  const Digest commit_secret = crypto::HmacSha256(raw)("Commit S");
  return crypto::HmacSha256(base::as_view(commit_secret));
}
}

LedgerSecret LedgerSecret::generate()
{
  return LedgerSecret(crypto::random_bytes(size));
}

LedgerSecret::LedgerSecret(std::string raw)
    : raw_(checked(std::move(raw))),
      aead_(raw_),
      commit_nonce_(commit_nonce_of(raw_))
{
}

LedgerSecret::~LedgerSecret()
{
  crypto::wipe(raw_);
}

std::string LedgerSecret::commit_evidence(TxId txid) const
{
  const auto text = txid.to_string();
  const Digest nonce = commit_nonce_(text);
  std::string evidence;
  evidence.reserve(4 + text.size() + 2 * nonce.size());
  evidence.append("ce:").append(text).push_back(':');
  constexpr char digits[] = "0123456789abcdef";
  for (const auto byte : nonce)
  {
    evidence.push_back(digits[byte >> 4]);
    evidence.push_back(digits[byte & 15]);
  }
  return evidence;
}
}
